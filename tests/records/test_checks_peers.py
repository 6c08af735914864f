"""Records against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cells.verify import Checked, verify
from g2d_bench.records.record import read_predictions, read_record, sealed, to_json
from g2d_bench.records.selection import select

Change = Callable[[dict[str, Any]], None]
Arrays = dict[str, Any]


def forge(path: Path, how: Change) -> None:
    """Edit a record and seal it again, as one who knows how would."""
    raw = json.loads(path.read_text())
    how(raw)
    path.write_text(json.dumps(raw))
    path.write_bytes(to_json(sealed(read_record(path))))


def forge_arrays(path: Path, how: Callable[[Arrays], object]) -> None:
    """Edit predictions and put the new hash into the record."""
    arrays = read_predictions(path, read_record(path))
    how(arrays)
    target = path.with_suffix(".npz")
    np.savez_compressed(target, allow_pickle=False, **arrays)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    forge(path, lambda raw: raw["predictions"].update(sha256=digest))


def said(path: Path, checked: Checked) -> list[str]:
    """Return what was found wrong with one record, without its place; nothing else may be wrong."""
    prefix = f"{path}: "
    assert all(problem.startswith(prefix) for problem in checked.problems), checked.problems
    return [problem.removeprefix(prefix) for problem in checked.problems]


@pytest.fixture
def several(folder: Any) -> list[Path]:
    """Three encoders with two seeds of one signature."""
    folder.grid({"g2d": 0.6, "mgca": 0.5, "random": 0.4}, seeds=2)
    return [found.path for found in select(folder.root) if found.path is not None]


def test_copies_are_found(folder: Any) -> None:
    path = folder.add("g2d").path
    for suffix in (".json", ".npz"):
        copy = path.with_name("copy").with_suffix(suffix)
        copy.write_bytes(path.with_suffix(suffix).read_bytes())
    assert any("is also in" in problem for problem in verify(folder.root).problems)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (lambda a: a.update(id=a["id"][::-1]), "predictions: ids and patients: 5 other records of the same"),
        (lambda a: a.update(patient=np.array(["p"] * 60)), "predictions: ids and patients: 5 other records"),
        (
            lambda a: a["id"].__setitem__(3, a["id"][2]),
            "predictions: id: 'image-002' stands 2 times, 1 lines",
        ),
        (lambda a: a["id"].__setitem__(3, "unknown"), "predictions: ids and patients: 5 other records"),
    ],
)
def test_ids_and_patients(
    several: list[Path], folder: Any, how: Callable[[Arrays], object], problem: str
) -> None:
    path = several[0]
    forge_arrays(path, how)
    assert any(line.startswith(problem) for line in said(path, verify(folder.root)))


def test_truth_that_was_dealt_anew(several: list[Path], folder: Any) -> None:
    """Metrics do not move when the counts of images change places; intervals by patient do."""
    path = several[0]

    def dealt(arrays: Arrays) -> None:
        for name in ("intersection", "predicted", "true"):
            arrays[name] = arrays[name][::-1]

    forge_arrays(path, dealt)
    problems = said(path, verify(folder.root))
    assert problems == ["predictions: truth: 5 other records of the same signature differ"]


def test_where_two_disagree_both_are_named(folder: Any) -> None:
    paths = [folder.add(encoder).path for encoder in ("g2d", "mgca")]
    forge(paths[0], lambda raw: raw["data"]["images"].update(val=41))
    problems = verify(folder.root).problems
    assert [problem.split(": ")[0] for problem in problems] == [str(path) for path in paths]
    assert all("data.images.val: says 4" in problem for problem in problems)
