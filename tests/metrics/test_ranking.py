"""Thresholds and orders, against scikit-learn and literal loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)

from g2d_bench.metrics.ranking import Ranking, choose_threshold, mean_over_labels

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize(
    ("by", "read"), [("f1", lambda t, c: f1_score(t, c, zero_division=0)), ("mcc", matthews_corrcoef)]
)
@pytest.mark.parametrize("seed", range(8))
def test_no_other_threshold_is_better(by: str, read: Any, seed: int) -> None:
    generator = np.random.default_rng(seed)
    targets = (generator.random(50) < 0.4).astype(float)
    scores = np.round(targets + generator.normal(0, 1, 50), 1)
    chosen = choose_threshold(scores, targets, by)
    values = {t: read(targets, (scores >= t).astype(float)) for t in sorted(set(scores.tolist()))}
    assert values[chosen] == pytest.approx(max(values.values()))
    assert chosen == min(t for t, value in values.items() if value > max(values.values()) - 1e-12)


def labelled(seed: int, distinct: int = 8) -> tuple[Array, Array]:
    """Scores with ties, and targets of which some are unknown."""
    generator = np.random.default_rng(seed)
    targets = generator.choice([0.0, 1.0, np.nan], 60, p=[0.5, 0.3, 0.2])
    return generator.integers(0, distinct, 60) / distinct, targets


@pytest.mark.parametrize("seed", range(5))
def test_orders_with_ties_weights_and_unknown_targets_equal_sklearn(seed: int) -> None:
    scores, targets = labelled(seed)
    weights = np.random.default_rng(seed + 100).random((4, 60))
    ranking, known = Ranking(scores, targets), ~np.isnan(targets)
    area, precision = ranking.auroc(weights), ranking.average_precision(weights)
    for n, weight in enumerate(weights):
        given = targets[known], scores[known]
        assert area[n] == pytest.approx(roc_auc_score(*given, sample_weight=weight[known]))
        assert precision[n] == pytest.approx(average_precision_score(*given, sample_weight=weight[known]))


@pytest.mark.parametrize("seed", range(5))
def test_best_f1_and_accuracies_against_every_threshold(seed: int) -> None:
    scores, targets = labelled(seed)
    known = ~np.isnan(targets)
    truth, said = targets[known], scores[known]
    thresholds = sorted(set(said[truth == 1].tolist()))
    values = [f1_score(truth, said >= t) for t in thresholds]
    best = thresholds[int(np.argmax(values))]
    ranking, once = Ranking(scores, targets), np.ones((1, 60))
    f1, accuracy = ranking.best_f1(once)
    assert f1[0] == pytest.approx(max(values))
    assert accuracy[0] == pytest.approx(np.mean((said >= best) == truth))
    assert ranking.accuracy_above_best_f1(once)[0] == pytest.approx(np.mean((said > best) == truth))


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_one_side_alone_has_no_order(value: float) -> None:
    ranking = Ranking(np.arange(4, dtype=np.float64), np.full(4, value))
    once = np.ones((1, 4))
    assert np.isnan(ranking.auroc(once)[0])
    if value != 1:
        assert np.isnan(ranking.average_precision(once)[0])
        assert np.isnan(ranking.best_f1(once)).all()
        assert np.isnan(ranking.accuracy_above_best_f1(once)[0])
        assert np.isnan(choose_threshold(np.arange(4, dtype=np.float64), np.full(4, value)))


def test_positives_without_weight_are_undefined() -> None:
    ranking, weights = (
        Ranking(np.arange(4, dtype=np.float64), np.array([0.0, 1, 0, 1])),
        np.array([[1.0, 0, 1, 0]]),
    )
    assert np.isnan(ranking.auroc(weights)[0])
    assert np.isnan(ranking.average_precision(weights)[0])
    assert np.isnan(ranking.best_f1(weights)).all()


def test_mean_over_labels_is_undefined_where_one_is() -> None:
    scores = np.stack([labelled(0)[0], labelled(1)[0]], axis=1)
    targets = np.stack([labelled(0)[1], labelled(1)[1]], axis=1)
    once = np.ones((1, 60))
    each = [Ranking(scores[:, k], targets[:, k]).auroc(once)[0] for k in range(2)]
    assert mean_over_labels(scores, targets, Ranking.auroc)(once)[0] == pytest.approx(np.mean(each))
    targets[:, 1] = 0
    assert np.isnan(mean_over_labels(scores, targets, Ranking.auroc)(once)[0])
