"""A record against itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.verify import verify

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def test_an_edited_number_is_named_with_the_amount(folder: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=raw["metrics"]["dice_positive"] + 0.02))
    (problem,) = verify(folder.root).problems
    assert "metrics.dice_positive" in problem
    assert problem.endswith("edited by +0.02")
    assert str(path) in problem


def test_a_number_in_place_of_undefined_is_named(folder: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(iou_positive=None))
    (problem,) = verify(folder.root).problems
    assert "metrics.iou_positive: says nan" in problem


@pytest.mark.parametrize(
    ("what", "how", "text"),
    [
        ("data kind", lambda raw: raw["data"].update(kind="real"), "data.kind"),
        ("data hash", lambda raw: raw["data"].update(hash="9" * 64), "data.hash"),
        ("split", lambda raw: raw["data"].update(split_hash="9" * 64), "data.split_hash"),
        ("protocol", lambda raw: raw["cell"].update(protocol="legacy"), "cell.protocol"),
        ("task", lambda raw: raw["cell"].update(task="rsna-seg"), "cell.task"),
        ("encoder", lambda raw: raw["cell"].update(encoder="mgca"), "lies where"),
        ("seed", lambda raw: raw["cell"].update(seed=7), "lies where"),
    ],
)
def test_a_record_that_contradicts_itself(
    folder: Any, edit: Edit, what: str, how: Callable[[dict[str, Any]], None], text: str
) -> None:
    edit(folder.add("g2d").path, how)
    assert any(text in problem for problem in verify(folder.root).problems), what
