"""What a metric is, and its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import (
    MetricSpec,
    Predictions,
    Statistic,
    mean_of,
    ratio,
    weighted_mean,
    weighted_sums,
)


def test_a_weighted_mean_leaves_out_what_is_unknown() -> None:
    values = np.array([1.0, np.nan, 4.0])
    weights = np.array([[1.0, 1, 1], [2, 5, 1], [0, 3, 0]])
    assert weighted_mean(values)(weights).tolist() == pytest.approx([2.5, 2.0, np.nan], nan_ok=True)


def test_sums_ratios_and_means() -> None:
    weights = np.random.default_rng(0).random((3, 5))
    table = np.random.default_rng(1).random((5, 2))
    quotient = weighted_sums(table, lambda sums: ratio(sums[:, 0], sums[:, 1]))(weights)
    for r in range(3):
        above = sum(weights[r, n] * table[n, 0] for n in range(5))
        assert quotient[r] == pytest.approx(above / sum(weights[r, n] * table[n, 1] for n in range(5)))
    assert ratio(np.array([1.0, 0, 3]), np.array([0.0, 0, 2])).tolist() == pytest.approx(
        [np.nan, np.nan, 1.5], nan_ok=True
    )
    one, two = weighted_mean(np.full(5, 1.0)), weighted_mean(np.full(5, 2.0))
    assert mean_of([one, two])(weights) == pytest.approx(1.5)
    assert np.isnan(mean_of([one, weighted_mean(np.full(5, np.nan))])(weights)).all()


def test_a_metric_s_value_is_that_of_equal_weights() -> None:
    spec = MetricSpec("mean", "the mean", per_sample=lambda found: found["value"])
    assert spec({"id": np.arange(4), "value": np.array([1.0, 2, 3, np.nan])}) == pytest.approx(2)
    assert spec.resamples


def test_what_depends_on_the_order_has_no_interval() -> None:
    spec = MetricSpec("batches", "means of batches")
    assert not spec.resamples
    with pytest.raises(InputError, match=r"^metric batches depends on the order of the samples"):
        spec.statistic({"id": np.arange(2)})


def test_one_label_takes_its_column_of_everything() -> None:
    def first(found: Predictions) -> Statistic:
        assert found["scores"].shape == found["targets"].shape == (3, 1)
        assert found["thresholds"].shape == found["label"].shape == (1,)
        return weighted_mean(found["scores"][:, 0])

    spec = MetricSpec("mean", "the mean", prepared=first, by_label=True).of_label("B")
    stored = {
        "id": np.arange(3),
        "label": np.array(["A", "B"]),
        "scores": np.array([[0.0, 1], [0, 2], [0, 6]]),
        "targets": np.zeros((3, 2)),
        "thresholds": np.zeros(2),
    }
    assert (spec.name, spec.by_label) == ("mean/B", False)
    assert spec(stored) == pytest.approx(3)
    with pytest.raises(InputError, match=r"^label: no label 'C'"):
        MetricSpec("mean", "the mean", prepared=first, by_label=True).of_label("C")(stored)
