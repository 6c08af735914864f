"""Whoever follows a page of docs word by word gets what it says.

A fenced block whose first line is a comment with a path is a file; a line after ``$`` in a console block is a
command, and what stands below it is printed by it (``…`` stands for anything).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from g2d_bench.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
LAUNCH = {"g2d-bench": [sys.executable, "-m", "g2d_bench"], "python": [sys.executable]}
INSTALL = "-m pip install --quiet --no-deps --no-index --no-build-isolation --target site ."


NEEDED = {
    "add-a-kind.md": [("g2d_bench.cards.kind", "KINDS")],
    "add-an-objective.md": [("g2d_bench.pretrain.objective", "OBJECTIVES")],
}
"""Tables of names that entry points must feed before a page can be followed."""


def open_to_packages(module: str, name: str) -> bool:
    """Say whether a table of names is there and is a registry."""
    try:
        return isinstance(getattr(import_module(module), name), Registry)
    except ImportError:
        return False


class Step(NamedTuple):
    """A command of a page and what it must print."""

    command: str
    printed: str


def files_and_steps(page: str) -> Iterator[tuple[str, str] | Step]:
    """Yield files (path, content) and steps in the order of a page."""
    for language, body in BLOCK.findall(page):
        if language == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                yield Step(command.partition(" #")[0].strip(), printed.strip())
        elif found := FILE.match(body):
            yield found[1], body


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few generated films in the layout of two data sets."""
    root = tmp_path_factory.mktemp("films")
    for name, count in {"rsna": 60, "chexpert": 80}.items():
        arguments = [*LAUNCH["g2d-bench"], "data", "phantom", name, "--count", str(count), "--size", "64"]
        subprocess.run([*arguments, "--out", str(root), "--workers", "1"], check=True, env=environment())
    return root


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which a command finds this tree."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("G2D_BENCH_")}
    return here | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"} | more


def follow(page: str, folder: Path, given: Mapping[str, str], but: tuple[str, ...] = ()) -> int:
    """Write the files of a page and do its steps, but those with certain words; return their number."""
    steps = 0
    more = environment(**given)
    more |= {"G2D_BENCH_CACHE": str(folder / "cache"), "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}"}
    for thing in files_and_steps((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if not isinstance(thing, Step):
            path = folder / thing[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(thing[1], encoding="utf-8")
            continue
        if any(word in thing.command for word in but):
            continue
        program, _, rest = thing.command.partition(" ")
        if thing.command == "pip install .":
            program, rest = "python", INSTALL
        words = [*LAUNCH.get(program, [program]), *rest.split()]
        done = subprocess.run(words, cwd=folder, env=more, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{page}: {thing.command}\n{done.stdout}{done.stderr}"
        wanted = ".*".join(map(re.escape, re.split("…", thing.printed)))
        assert re.search(wanted, done.stdout, re.DOTALL), f"{page}: {thing.command} printed {done.stdout}"
        steps += 1
    return steps


@pytest.mark.slow
def test_encoder_pages_are_followed(tmp_path: Path, films: Path) -> None:
    """All but what needs published weights or MIMIC-CXR; the user's own checkpoint is made here."""
    pytest.importorskip("setuptools", reason="builds the package of the page")
    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    model = timm.create_model("resnet50")
    state = {f"img_encoder.model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "my.ckpt")
    (tmp_path / "Downloads").mkdir()
    (tmp_path / "Downloads" / "my.ckpt").hardlink_to(tmp_path / "my.ckpt")
    given = {"G2D_BENCH_DATA": str(films), "HOME": str(tmp_path)}
    assert follow("add-an-encoder.md", tmp_path, given, but=("gloria", "ls weights", "pretrain")) == 10
    names = {path.parents[2].name for path in (tmp_path / "runs").rglob("*.json")}
    assert names == {"my-method.r50", "tiny.r18"}


@pytest.mark.parametrize(
    ("page", "steps", "real"),
    [
        ("add-a-data-set.md", 5, False),
        ("add-a-metric.md", 5, True),
        ("add-a-task.md", 3, True),
        ("add-a-kind.md", 5, True),
        pytest.param("add-an-objective.md", 6, True, marks=pytest.mark.slow),
    ],
)
def test_followed_literally(page: str, steps: int, real: bool, tmp_path: Path, films: Path) -> None:
    """Data that a page does not make are a few films, instead of the thousands that are generated else."""
    if not all(open_to_packages(*place) for place in NEEDED.get(page, ())):
        pytest.skip("packages cannot add one yet")
    pytest.importorskip("setuptools", reason="builds the package of the page")
    assert follow(page, tmp_path, {"G2D_BENCH_DATA": str(films)} if real else {}) == steps
    assert list((tmp_path / "runs").rglob("*.json"))
