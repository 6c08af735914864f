"""Columns with draws of patients and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import read_folder
from g2d_bench.report.model import Column
from g2d_bench.report.sampled import Sampled, joined, sample, seed_picks

COLUMN = Column("siim-seg", 0.01, "dice_positive", "clean", ("siim-seg",))


def column(folder: Any, metric: str = "dice_positive") -> Sampled:
    """Sample the only column of a folder."""
    return sample(
        Column("siim-seg", 0.01, metric, "clean", ("siim-seg",)), read_folder(folder.root), Evidence()
    )


def test_the_spread_over_seeds_is_that_of_a_mean_over_them() -> None:
    # Without patients, the variance of the mean of S values is s^2 / S.
    values = np.array([10.0, 13.0, 19.0])
    drawn = joined([np.full(20_000, value) for value in values], "column")
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.05)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.1)


def test_seeds_are_the_same_for_all_encoders_of_a_column_and_others_in_another() -> None:
    picks = seed_picks(3, 50, "siim-seg 0.01 clean")
    assert picks.shape == (50, 2)
    assert (picks == seed_picks(3, 50, "siim-seg 0.01 clean")).all()
    assert (picks != seed_picks(3, 50, "siim-seg 0.1 clean")).any()
    one = np.zeros(4)
    assert joined([one], "column") is one


def test_draws_lie_around_the_numbers_of_the_tables(folder: Any) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    folder.add("late", 0.5, seed=1)
    made = column(folder)
    assert (made.kind, made.data, made.dataset, made.sign, made.ranked) == (
        *("segmentation", "phantom", "siim", 1.0, True),
    )
    assert set(made.draws) == {"random", "g2d"}
    for name, drawn in made.draws.items():
        assert drawn.mean() == pytest.approx(made.values[name].mean, abs=1.0)
    assert made.values["late"].missing == "seed missing"
    assert list(made.records["g2d"]) == [0, 1, 2]


def test_nothing_is_drawn_where_the_images_differ(folder: Any) -> None:
    folder.add("random", 0.3, images=40)
    folder.add("g2d", 0.6)
    assert column(folder).draws == {}


def test_legacy_metrics_rank_nothing(folder: Any) -> None:
    folder.add("g2d", 0.6)
    assert not column(folder, "dice_legacy").ranked
