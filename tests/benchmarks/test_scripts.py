"""Scripts that nobody runs every day find what they import, wherever the code went since."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    script
    for folder in ("benchmarks", "examples", "docs/img")
    for script in sorted((ROOT / folder).glob("*.py"))
]


def ours(tree: ast.AST) -> list[tuple[str, str]]:
    """Return modules of the package and the names taken from them, in functions too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "g2d_bench":
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "g2d_bench"]
    return found


def there(module: str, name: str) -> bool:
    """Say whether a module has a name, or a module of that name below it."""
    if not name or hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_a_script_imports_is_there(script: Path) -> None:
    wanted = ours(ast.parse(script.read_text(encoding="utf-8")))
    assert [one for one in wanted if not there(*one)] == []


def test_imports_within_functions_are_seen() -> None:
    tree = ast.parse("import g2d_bench.files\ndef f():\n    from g2d_bench.errors import InputError\n")
    assert ours(tree) == [("g2d_bench.files", ""), ("g2d_bench.errors", "InputError")]
    assert len(SCRIPTS) > 15
    assert there("g2d_bench", "files")
    assert not there("g2d_bench.records.record", "key_of")
