"""Names are found without an import, and things by their names, from this package and from others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.registry import Registry, declaring

Fresh = Any


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `zoo` with two animals, a helper and a module that cannot be imported."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "red_panda.py").write_text('ANIMAL = "red panda"\n')
    (folder / "owl.py").write_text('ANIMAL: str = "owl"\n')
    (folder / "keeper.py").write_text("def keep():\n    ANIMAL = 1\n\nif False:\n    ANIMAL = 2\n")
    (folder / "ill.py").write_text("ANIMAL = 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    declaring.cache_clear()
    yield folder
    declaring.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("zoo", "foreign")]:
        del sys.modules[name]


def install(root: Path, points: str) -> None:
    """Lay an installed distribution with entry points beside the package."""
    folder = root / "foreign-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[zoo.animals]\n{points}\n")
    (root / "foreign.py").write_text('ANIMAL = "yak"\nNEWT = "newt"\n')


def registry() -> Registry[str]:
    return Registry("animal", package="zoo", mark="ANIMAL", group="zoo.animals")


def test_names_come_from_modules_that_declare_and_none_is_imported(package: Path) -> None:
    animals = registry()
    assert animals.names == ["ill", "owl", "red-panda"]
    assert list(animals) == animals.names
    assert "red-panda" in animals
    assert "keeper" not in animals
    assert "zoo.owl" not in sys.modules
    assert (animals["owl"], animals["red-panda"]) == ("owl", "red panda")
    assert animals.module("red-panda") == "zoo.red_panda"


def test_a_wrong_name_gets_the_nearest(package: Path) -> None:
    with pytest.raises(InputError, match=r"unknown animal 'ow'; .*owl"):
        registry()["ow"]


def test_others_add_theirs_by_entry_points(package: Path) -> None:
    install(package.parent, "yak = foreign\nnewt = foreign:NEWT")
    animals = registry()
    assert animals.names == ["ill", "newt", "owl", "red-panda", "yak"]
    assert "foreign" not in sys.modules
    assert (animals["yak"], animals["newt"]) == ("yak", "newt")
    assert animals.module("newt") == "foreign"


@pytest.mark.parametrize(
    ("points", "name", "message"),
    [
        ("owl = foreign", "owl", "the animal 'owl' is declared twice: by zoo.owl and by foreign"),
        ("gnu = nowhere", "gnu", "zoo.animals.gnu: cannot be imported from nowhere: ModuleNotFoundError: "),
        ("gnu = zoo", "gnu", "zoo.animals.gnu: zoo declares no ANIMAL"),
    ],
)
def test_a_bad_entry_point_is_one_line(package: Path, points: str, name: str, message: str) -> None:
    install(package.parent, points)
    with pytest.raises(InputError) as caught:
        registry()[name]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_registries_list_without_heavy_imports() -> None:
    code = """
import sys
from g2d_bench.encoders.heads.make import HEADS
from g2d_bench.metrics.registry import FAMILIES
from g2d_bench.readers.registry import READERS
lists = HEADS.names, FAMILIES.names, READERS.names
assert all(lists), lists
print([name for name in ("torch", "pandas", "mmengine", "pydicom") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
