"""Columns with draws of patients and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from g2d_bench.metrics.resample import interval, two_sided
from g2d_bench.paths import PACKAGE
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import read_folder
from g2d_bench.report.model import Column
from g2d_bench.report.sampled import Sampled, joined, sample, seed_weights

COLUMN = Column("siim-seg", 0.01, "dice_positive", "clean", ("siim-seg",))


def column(folder: Any, metric: str = "dice_positive") -> Sampled:
    """Sample the only column of a folder."""
    return sample(
        Column("siim-seg", 0.01, metric, "clean", ("siim-seg",)), read_folder(folder.root), Evidence()
    )


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_alone_are_as_uncertain_as_students_t_says(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(50, 4, seeds)
    drawn = joined([np.full(40_000, value) for value in values], "column")
    wanted = stats.t(seeds - 1, values.mean(), stats.sem(values))
    shares = np.array([0.025, 0.2, 0.5, 0.8, 0.975])
    assert (drawn[:, None] < wanted.ppf(shares)).mean(axis=0) == pytest.approx(shares, abs=0.008)


def test_a_difference_is_that_of_its_own_seeds() -> None:
    """Seeds that move two encoders alike do not blur their difference."""
    hard, gap = np.array([0.0, 30.0, -20.0]), np.array([1.0, 1.2, 0.8])
    first, second = (joined([np.full(4000, v) for v in values], "c") for values in (hard + gap, hard))
    assert first - second == pytest.approx(joined([np.full(4000, v) for v in gap], "c"))


@pytest.mark.parametrize("ratio", [0, 5, 20])
def test_encoders_without_a_difference_are_rarely_told_apart(ratio: int) -> None:
    """Patients and three seeds, which spread up to twenty times as much."""
    generator, small, held = np.random.default_rng(ratio), 0, 0
    for trial in range(300):
        patients = generator.standard_normal(500) + generator.normal()
        seeds = ratio * generator.normal(size=3)
        drawn = joined([patients + seed for seed in seeds], f"column {trial}")
        small += float(two_sided(drawn[None])[0]) <= 0.05
        low, high = interval(drawn)
        held += low <= 0 <= high
    assert small / 300 < 0.09
    assert held / 300 > 0.91


def test_seeds_are_the_same_for_all_encoders_of_a_column_and_others_in_another() -> None:
    weights = seed_weights(3, 50, "siim-seg 0.01 clean")
    assert weights.shape == (50, 3)
    assert weights.sum(axis=1) == pytest.approx(0, abs=1e-12)
    assert (weights == seed_weights(3, 50, "siim-seg 0.01 clean")).all()
    assert (weights != seed_weights(3, 50, "siim-seg 0.1 clean")).any()
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
        assert np.median(drawn) == pytest.approx(made.values[name].mean, abs=1.0)
        assert (drawn >= 0).all()
        assert (drawn <= 100).all()
    assert made.values["late"].missing == "seed missing"
    assert list(made.records["g2d"]) == [0, 1, 2]


def test_nothing_is_drawn_where_the_images_differ(folder: Any) -> None:
    folder.add("random", 0.3, images=40)
    folder.add("g2d", 0.6)
    assert column(folder).draws == {}


def test_what_is_often_undefined_is_not_drawn(folder: Any) -> None:
    folder.add("g2d", 0.9, positive=0.03)
    made = column(folder)
    assert (made.draws, set(made.values)) == ({}, {"g2d"})


def test_legacy_metrics_rank_nothing(folder: Any) -> None:
    folder.add("g2d", 0.6)
    assert not column(folder, "dice_legacy").ranked


def test_the_page_says_how_many_seeds_a_difference_takes() -> None:
    """Its table agrees with Student's t, and with what draws of seeds alone call certain."""
    page = (PACKAGE.parent / "docs/leaderboard.md").read_text()
    table = page.split("| seeds | m = 1 | m = 10 | m = 50 |\n")[1].split("\n\n")[0].splitlines()[1:]
    assert len(table) == 6
    for line in table:
        seeds, *needed = map(float, line.strip("| ").split(" | "))
        for many, times in zip((1, 10, 50), needed, strict=True):
            assert times == pytest.approx(stats.t.ppf(1 - 0.025 / many, seeds - 1) / seeds**0.5, abs=0.005)
        if 3 <= seeds <= 10:
            around = np.arange(seeds) - (seeds - 1) / 2
            deviates = around / around.std(ddof=1)
            for times, certain in ((0.8 * needed[0], False), (1.2 * needed[0], True)):
                drawn = joined([np.full(20_000, value) for value in deviates + times], "page")
                low, high = interval(drawn)
                assert (not low <= 0 <= high) == certain
