"""Agreement of two orders against scipy's, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import agreement, kendall, spearman
from scipy.stats import kendalltau, spearmanr


@pytest.mark.parametrize("seed", range(4))
def test_as_scipy_has_it_equals_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, (2, 15)).astype(float)
    assert spearman(one[None], other[None])[0] == pytest.approx(spearmanr(one, other).statistic)
    assert kendall(one[None], other[None])[0] == pytest.approx(kendalltau(one, other).statistic)


def test_the_same_order_and_the_reverse() -> None:
    scores = [0.5, 0.7, 0.6, 0.9, 0.8]
    same = agreement(scores, [value**3 for value in scores])
    assert same.count == 5
    assert [same.spearman, same.kendall] == pytest.approx([1, 1])
    assert same.spearman_interval == pytest.approx((1, 1))
    turned = agreement(scores, [-value for value in scores])
    assert [turned.spearman, turned.kendall] == pytest.approx([-1, -1])


def test_chance_has_zero_in_its_interval_and_more_things_a_narrower_one() -> None:
    rng = np.random.default_rng(1)
    few, many = (agreement(rng.normal(size=n).tolist(), rng.normal(size=n).tolist()) for n in (14, 140))
    assert few.spearman_interval is not None
    assert many.spearman_interval is not None
    assert few.spearman_interval[0] < 0 < few.spearman_interval[1]
    assert np.ptp(many.spearman_interval) < np.ptp(few.spearman_interval)


def test_the_same_draws_every_time() -> None:
    one, other = np.random.default_rng(2).normal(size=(2, 14)).tolist()
    assert agreement(one, other) == agreement(one, other)


def test_too_few_and_equals_have_no_interval_or_order() -> None:
    assert agreement([1], [2]).spearman is None
    three = agreement([1, 2, 3], [1, 3, 2])
    assert three.spearman == pytest.approx(0.5)
    assert three.spearman_interval is three.kendall_interval is None
    flat = agreement([1, 1, 1, 1], [1, 2, 3, 4])
    assert flat.spearman is None
    assert flat.kendall is None
    assert flat.spearman_interval is None


def test_lists_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 3 scores"):
        agreement([1, 2], [1, 2, 3])
