"""What exports of encoders share."""

from __future__ import annotations

import math
from typing import Any

from g2d_bench.records.selection import select
from g2d_bench.report.exports.base import Request, numbers


def test_a_number_is_the_mean_over_seeds_with_all_that_it_means(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1))
    found = select(folder.root)
    request = Request(found, {("siim-seg", "clean"): "dice_positive"})
    first, second = numbers(request)
    values = [one.record.metrics["dice_positive"] for one in found if one.cell.fraction == 0.01]
    assert math.isclose(first.value, 100 * sum(value or 0 for value in values) / 3)
    assert first.low < first.value < first.high
    assert (first.name, second.name) == ("phantom-siim-seg-1pct-clean", "phantom-siim-seg-10pct-clean")
    for said in ("GENERATED DATA", "dice_positive in %", "1 % of the training labels", "seeds 0, 1, 2"):
        assert said in first.told
    assert first.found[0].record.signature in first.told


def test_real_numbers_are_not_called_generated_and_undefined_ones_are_none(folder: Any) -> None:
    folder.add("g2d", data_kind="real")
    folder.add("mgca", data_kind="real", metrics={"dice_positive": None})
    (one,) = numbers(Request(select(folder.root), intervals=False))
    assert (one.encoder, one.name, one.generated) == ("g2d", "siim-seg-1pct-clean", False)
    assert "GENERATED" not in one.told
    assert math.isnan(one.low)
    assert math.isnan(one.spread)
    assert "; seed 0; " in one.told
