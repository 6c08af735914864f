"""Two encoders on the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.metrics.resample import holm, paired_p
from g2d_bench.report.model import Column, Value
from g2d_bench.report.paired import compare_all, compare_pair, difference, differences
from g2d_bench.report.sampled import Sampled

COMMON = np.random.default_rng(0).normal(0, 5, 2000)


def column(task: str, metric: str = "dice_positive", **numbers: float) -> Sampled:
    """Make a column whose encoders share most of their spread."""
    made = Column(task, 0.01, metric, "clean", (task,))
    draws = {
        name: number + COMMON + np.random.default_rng(n).normal(0, 0.5, 2000)
        for n, (name, number) in enumerate(numbers.items())
    }
    values = {name: Value(made, number) for name, number in numbers.items()}
    return Sampled(made, "segmentation", "phantom", "siim", values, draws)


def test_what_both_share_does_not_widen_the_difference() -> None:
    (found,) = compare_pair([column("a", g2d=52, mgca=50)], "g2d", "mgca")
    assert found.mean == 2
    assert 0 < found.low < 2 < found.high < 4
    assert found.verdict == "first"
    (turned,) = compare_pair([column("a", g2d=52, mgca=50)], "mgca", "g2d")
    assert (turned.mean, turned.verdict) == (-2, "second")


def test_p_is_corrected_for_all_columns_of_the_pair() -> None:
    columns = [column(f"task-{n}", g2d=50 + gap, mgca=50) for n, gap in enumerate((3.0, 1.2, 0.1))]
    found = compare_pair(columns, "g2d", "mgca")
    raw = [paired_p(one.draws["g2d"], one.draws["mgca"]) for one in columns]
    assert [one.p for one in found] == raw
    assert [one.adjusted for one in found] == holm(raw)
    assert [one.verdict for one in found] == ["first", "not told apart", "not told apart"]


def test_columns_that_one_lacks_or_that_rank_nothing_are_left_out() -> None:
    columns = [column("a", g2d=52), column("b", "dice_legacy", g2d=52, mgca=50), column("c", g2d=52, mgca=50)]
    assert [one.place for one in compare_pair(columns, "g2d", "mgca")] == [2]
    assert set(compare_all([*columns, column("d", lone=1)])) == {("g2d", "mgca")}


def test_unlike_numbers_of_draws_are_compared_as_far_as_they_go() -> None:
    low, high, p = difference(COMMON + 1, COMMON[:500])
    assert (low, high) == pytest.approx((1, 1))
    assert p == pytest.approx(2 / 501)


@pytest.mark.parametrize("what", ["plain", "undefined", "equal", "unlike", "one draw", "none"])
def test_several_at_once_are_as_one_by_one(what: str) -> None:
    rng = np.random.default_rng(1)
    first, others = rng.normal(0, 1, 1000), [rng.normal(0.1 * n, 1, 1000) for n in range(5)]
    if what == "undefined":
        others[2][::7] = np.nan
    elif what == "equal":
        others[3] = first.copy()
    elif what == "unlike":
        others[1] = others[1][:250]
    elif what == "one draw":
        first, others = first[:1], [other[:1] for other in others]
    elif what == "none":
        others = []
    alone = [difference(first, other) for other in others]
    np.testing.assert_array_equal(differences(first, others), alone)
