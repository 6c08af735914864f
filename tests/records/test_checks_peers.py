"""Records against each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import Arrays, forge, forge_arrays, said

from g2d_bench.cells.verify import verify


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


def test_one_card_and_weights_are_one_encoder(folder: Any) -> None:
    """Kinds note its state otherwise: as a text, or beside those of text side and heads."""
    states = ("a" * 64, {"image": "a" * 64, "text": "b"}, "a" * 64)
    paths = [folder.add("g2d", seed=n, notes={"encoder_state": state}).path for n, state in enumerate(states)]
    assert verify(folder.root).problems == ()
    forge(paths[2], lambda raw: raw["notes"].update(encoder_state="c" * 64))
    assert said(paths[2], verify(folder.root)) == [
        "notes.encoder_state: 2 other records of the same card and weights differ"
    ]
