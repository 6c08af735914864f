"""What stands behind a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.selection import select
from g2d_bench.report.table import blocks

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}


def test_an_edited_metric_is_refused(folder: Any, edit: Callable[..., None]) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=raw["metrics"]["dice_positive"] + 0.02))
    with pytest.raises(InputError, match=r"metrics\.dice_positive.*off by \+0\.02.*edited"):
        blocks(select(folder.root), metrics=METRICS)


def test_draws_are_kept_and_the_same_from_the_cache(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    first = blocks(select(folder.root), metrics=METRICS)
    monkeypatch.setattr("g2d_bench.records.evidence.draw", lambda *_: pytest.fail("drawn again"))
    assert blocks(select(folder.root), metrics=METRICS) == first
