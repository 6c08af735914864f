"""Classification metrics; over several labels each is their unweighted mean ("macro").

Stored predictions: ``scores`` [N, C] and ``targets`` [N, C] (1, 0, or NaN where unknown: that sample does not
count for that label; what an uncertain label means is decided before), ``label`` [C] the labels' names, and,
for metrics at a threshold from validation, ``thresholds`` [C]. A mean over labels is NaN where one of them is
undefined: a mean over fewer labels is another metric.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.ranking import Ranking, choose_threshold, mean_over_labels
from g2d_bench.metrics.spec import (
    MetricSpec,
    Predictions,
    Statistic,
    Values,
    mean_of,
    ratio,
    weighted_sums,
)

BINS = 15
"""Equal-width bins of the calibration error (Guo et al., ICML 2017)."""


def _arrays(predictions: Predictions) -> tuple[Values, Values]:
    """Take out scores and targets as float64 [N, C].

    Raises:
        InputError: shapes differ, a score is not a number, or a target is none of 0, 1, NaN.
    """
    scores, targets = (np.asarray(predictions[name], np.float64) for name in ("scores", "targets"))
    if scores.ndim != 2 or scores.shape != targets.shape:
        raise InputError(f"shapes {scores.shape} and {targets.shape}; both must be [N, C]", field="scores")
    if np.isnan(scores).any():
        raise InputError("a score is not a number", field="scores")
    if not (np.isnan(targets) | (targets == 0) | (targets == 1)).all():
        raise InputError("a target is none of 0, 1 and unknown", field="targets")
    return scores, targets


def _ranked(read: Callable[[Ranking, Values], Values]) -> Callable[[Predictions], Statistic]:
    return lambda predictions: mean_over_labels(*_arrays(predictions), read)


def _of_rows(predictions: Predictions, rows: NDArray[np.intp]) -> Predictions:
    return {**predictions, **{name: predictions[name][rows] for name in ("scores", "targets")}}


def _mean_of_columns(values: Values) -> Statistic:
    """Mean over labels of the mean over samples, values [N, C]; NaN does not count within its label."""
    known = ~np.isnan(values)
    labels = values.shape[1]
    table = np.hstack([np.where(known, values, 0.0), known])
    return weighted_sums(table, lambda sums: ratio(sums[:, :labels], sums[:, labels:]).mean(axis=1))


def probabilities(predictions: Predictions) -> tuple[Values, Values]:
    """Return scores and targets of a model that gives probabilities.

    Raises:
        InputError: a score lies outside [0, 1].
    """
    scores, targets = _arrays(predictions)
    if ((scores < 0) | (scores > 1)).any():
        raise InputError("a score lies outside 0 to 1, so it is no probability", field="scores")
    return scores, targets


def _exclusive(predictions: Predictions) -> tuple[Values, Values, Values]:
    """Return scores, the largest score and whether it is the true class's (the first of equal scores)."""
    scores, targets = _arrays(predictions)
    if not np.isin(targets, (0, 1)).all() or not (targets.sum(axis=1) == 1).all():
        raise InputError("classes that exclude each other need exactly one 1 per sample", field="targets")
    chosen = scores.argmax(axis=1)[:, None]
    top, right = (np.take_along_axis(array, chosen, axis=1)[:, 0] for array in (scores, targets))
    return scores, top, right


def _right_class(predictions: Predictions) -> Values:
    return _exclusive(predictions)[2]


def _accuracy_half(predictions: Predictions) -> Statistic:
    scores, targets = probabilities(predictions)
    return _mean_of_columns(np.where(np.isnan(targets), np.nan, (scores >= 0.5) == targets))


def _brier(predictions: Predictions) -> Statistic:
    scores, targets = probabilities(predictions)
    return _mean_of_columns((scores - targets) ** 2)


def _calibration(chance: Values, truth: Values) -> Statistic:
    """Sum over bins of |sum of truth - chance| / N; a bin is open on the left, the first takes 0."""
    known = ~np.isnan(truth)
    number = np.clip(np.ceil(chance * BINS).astype(np.int64) - 1, 0, BINS - 1)
    table = np.zeros((len(chance), BINS + 1))
    table[np.arange(len(chance)), number] = np.where(known, truth - chance, 0.0)
    table[:, BINS] = known
    return weighted_sums(table, lambda sums: ratio(np.abs(sums[:, :BINS]).sum(axis=1), sums[:, BINS]))


def _ece(predictions: Predictions) -> Statistic:
    scores, targets = probabilities(predictions)
    parts = [_calibration(scores[:, k], targets[:, k]) for k in range(scores.shape[1])]
    return mean_of(parts)


def _ece_top(predictions: Predictions) -> Statistic:
    probabilities(predictions)
    _, top, right = _exclusive(predictions)
    return _calibration(top, right)


def _called(predictions: Predictions) -> tuple[Values, Values, Values]:
    """Return what the validation thresholds call positive [N, C], targets, and the thresholds [C]."""
    scores, targets = _arrays(predictions)
    thresholds = np.asarray(predictions["thresholds"], np.float64)
    if thresholds.shape != (scores.shape[1],):
        raise InputError(f"shape {thresholds.shape}; one per label is needed", field="thresholds")
    return (scores >= thresholds).astype(np.float64), targets, thresholds


def _accuracy_validation(predictions: Predictions) -> Statistic:
    called, targets, thresholds = _called(predictions)
    unknown = np.isnan(targets) | np.isnan(thresholds)
    return _mean_of_columns(np.where(unknown, np.nan, called == targets))


def _f1_validation(predictions: Predictions) -> Statistic:
    called, targets, thresholds = _called(predictions)
    labels = called.shape[1]
    known = ~np.isnan(targets)
    right = np.where(known & ~np.isnan(thresholds), 2.0 * called * (targets == 1), 0.0)
    total = np.where(known & ~np.isnan(thresholds), called + (targets == 1), 0.0)

    def finish(sums: Values) -> Values:
        return np.asarray(ratio(sums[:, :labels], sums[:, labels:]).mean(axis=1), np.float64)

    return weighted_sums(np.hstack([right, total]), finish)


def choose_thresholds(scores: Values, targets: Values, by: str = "f1") -> Values:
    """Choose one threshold per label on validation; see :func:`g2d_bench.metrics.ranking.choose_threshold`.

    Args:
        scores: [N, C] on validation.
        targets: [N, C].
        by: ``f1`` or ``mcc``.

    Returns:
        [C]; NaN for a label without a positive.
    """
    return np.array([choose_threshold(scores[:, k], targets[:, k], by) for k in range(scores.shape[1])])


def prevalence(train: Values, predictions: Predictions) -> Predictions:
    """Return the predictions of one who gives every image the label shares of the training images.

    Args:
        train: targets of the training images, [M, C], NaN where unknown.
        predictions: of the test set; their scores and thresholds are replaced.
    """
    known = ~np.isnan(train)
    share = np.where(known, train, 0.0).sum(0) / known.sum(0).clip(1)
    # Called at one half, it names the majority.
    return {
        **predictions,
        "scores": np.tile(share, (len(predictions["id"]), 1)),
        "thresholds": np.full(len(share), 0.5),
    }


READS = ("scores", "targets")
CALLED = (*READS, "thresholds")

METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            "auroc",
            "area under the ROC curve, mean over labels, equal scores count half",
            reads=READS,
            prepared=_ranked(Ranking.auroc),
            by_label=True,
            of_rows=_of_rows,
        ),
        MetricSpec(
            "auprc",
            "average precision without interpolation, mean over labels",
            reads=READS,
            prepared=_ranked(Ranking.average_precision),
            by_label=True,
            of_rows=_of_rows,
        ),
        MetricSpec(
            "accuracy",
            "share of samples whose highest score is the true class's (classes that exclude each other)",
            reads=READS,
            per_sample=_right_class,
        ),
        MetricSpec(
            "accuracy_half",
            "share of samples rightly called at probability 0.5, mean over labels",
            reads=READS,
            prepared=_accuracy_half,
            by_label=True,
            of_probabilities=True,
        ),
        MetricSpec(
            "accuracy_validation",
            "share of samples rightly called at the threshold chosen on validation, mean over labels",
            reads=CALLED,
            prepared=_accuracy_validation,
            by_label=True,
        ),
        MetricSpec(
            "f1_validation",
            "F1 at the threshold chosen on validation, mean over labels",
            reads=CALLED,
            prepared=_f1_validation,
            by_label=True,
        ),
        MetricSpec(
            "f1_legacy",
            "highest F1 over all thresholds of the test set itself, mean over labels (MedKLIP)",
            reads=READS,
            prepared=_ranked(lambda ranking, weights: ranking.best_f1(weights)[0]),
            by_label=True,
            published=True,
            of_rows=_of_rows,
        ),
        MetricSpec(
            "accuracy_legacy",
            "accuracy at the threshold with the highest F1 on the test set, a score at it called positive "
            "for both, mean over labels",
            reads=READS,
            prepared=_ranked(lambda ranking, weights: ranking.best_f1(weights)[1]),
            by_label=True,
            published=True,
            of_rows=_of_rows,
        ),
        MetricSpec(
            "accuracy_at_medklip",
            "accuracy above the threshold with the highest F1 on the test set, a score at it called positive "
            "for F1 and negative here, mean over labels (MedKLIP)",
            reads=READS,
            prepared=_ranked(Ranking.accuracy_above_best_f1),
            by_label=True,
            published=True,
            of_rows=_of_rows,
        ),
        MetricSpec(
            "ece",
            f"expected calibration error of each label's probability, {BINS} equal bins, mean over labels",
            reads=READS,
            higher_is_better=False,
            prepared=_ece,
            by_label=True,
            inflated=True,
            of_probabilities=True,
        ),
        MetricSpec(
            "ece_top",
            f"expected calibration error of the highest class's probability, {BINS} equal bins (Guo et al.)",
            reads=READS,
            higher_is_better=False,
            prepared=_ece_top,
            inflated=True,
            of_probabilities=True,
        ),
        MetricSpec(
            "brier",
            "squared difference of probability and truth, mean over samples, then labels (Brier)",
            reads=READS,
            higher_is_better=False,
            prepared=_brier,
            by_label=True,
            of_probabilities=True,
        ),
    )
}
