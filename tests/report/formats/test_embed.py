"""A table inside a README: only what stands between the markers changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.report.formats.embed import BEGIN, END, embed, embedded


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"# Title\n\nabove\n{BEGIN}\nold | table\n{END}\nbelow\n")
    return path


def test_only_what_is_between_changes(readme: Path) -> None:
    assert embedded(readme) == "old | table"
    assert embed(readme, "| new |\n| --- |")
    assert readme.read_text() == f"# Title\n\nabove\n{BEGIN}\n\n| new |\n| --- |\n\n{END}\nbelow\n"
    assert embedded(readme) == "| new |\n| --- |"
    assert not embed(readme, "| new |\n| --- |")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nothing", "has 0 lines"),
        (f"{BEGIN}\n{BEGIN}\n{END}", "has 2 lines"),
        (f"{END}\n{BEGIN}", "stands above"),
        (f"{BEGIN}\nno end", "has 0 lines"),
    ],
)
def test_markers_that_are_not_there(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.md"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        embed(path, "table")
    assert path.read_text() == text
    with pytest.raises(InputError, match="cannot be read"):
        embed(tmp_path / "no.md", "table")


def test_the_command(folder: Any, cli: Callable[..., Any], readme: Path) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1))
    arguments = ("table", "--summary", "--format", "md", "--into", readme)
    assert "wrote the table" in cli(*arguments).stderr
    assert embedded(readme) == cli(*arguments[:-2]).stdout.strip()
    assert "was up to date" in cli(*arguments).stderr
    assert "GENERATED DATA" in readme.read_text()
    for wrong in (["--format", "text"], ["--format", "md", "--out", "x"]):
        result = cli("table", "--into", readme, *wrong)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "--into" in result.stderr
