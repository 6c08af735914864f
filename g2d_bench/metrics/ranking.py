"""Metrics of an order: AUROC, average precision, the best F1, for one label and weighted samples.

Sorting is done once; each resampling then costs one gather and one cumulative sum. Equal scores are exact: a
threshold passes them together. Whole weights give what repeated samples would.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.spec import Statistic, Values, mean_of, ratio


class Ranking:
    """The sorted scores of one label.

    Args:
        scores: [N], higher means more likely.
        targets: [N], 1 positive, 0 negative, NaN unknown (does not count).
    """

    def __init__(self, scores: Values, targets: Values) -> None:
        positive, negative = (np.flatnonzero(targets == value) for value in (1, 0))
        self.positive = positive[np.argsort(scores[positive], kind="stable")]
        self.negative = negative[np.argsort(scores[negative], kind="stable")]
        self.scores: Values = scores[self.positive]
        """Scores of the positives, ascending."""
        below = scores[self.negative]
        self._lower = np.searchsorted(below, self.scores, side="left")
        self._upper = np.searchsorted(below, self.scores, side="right")
        self._first = np.searchsorted(self.scores, self.scores, side="left")
        self._last = np.searchsorted(self.scores, self.scores, side="right")

    def auroc(self, weights: Values) -> Values:
        """Area under the ROC curve: P(positive above negative) + P(equal) / 2 (Hanley and McNeil, 1982).

        Returns:
            [R]; NaN where positives or negatives have no weight.
        """
        mine = weights.take(self.positive, axis=1)
        passed = _cumulative(weights.take(self.negative, axis=1))
        above = passed.take(self._lower, axis=1) + passed.take(self._upper, axis=1)
        return ratio(np.einsum("rk,rk->r", mine, above) / 2, mine.sum(axis=1) * passed[:, -1])

    def average_precision(self, weights: Values) -> Values:
        """Sum over thresholds of precision times the gain in recall, without interpolation (as scikit-learn).

        Returns:
            [R]; NaN where positives have no weight.
        """
        mine, right, wrong, _ = self._at_thresholds(weights)
        called = right + wrong
        precision = np.divide(right, called, out=np.zeros_like(right), where=called > 0)
        return ratio(np.einsum("rk,rk->r", mine, precision), mine.sum(axis=1))

    def best_f1(self, weights: Values) -> tuple[Values, Values]:
        """Take the threshold with the highest F1 on these very samples, the lowest of several.

        Returns:
            F1 and accuracy at that threshold, each [R]; NaN where positives have no weight.
        """
        mine, right, wrong, negatives = self._at_thresholds(weights)
        if not len(self.positive):
            return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
        f1, best = _best(mine, right, wrong)
        return f1, _accuracy(mine, right, wrong, negatives, best)

    def accuracy_above_best_f1(self, weights: Values) -> Values:
        """Accuracy where only scores *above* the threshold with the highest F1 are called positive.

        The published code of MedKLIP and KAD takes a score at the threshold for positive in its F1, and for
        negative in its accuracy; so the positive whose score the threshold is counts as missed.

        Returns:
            [R]; NaN where positives have no weight.
        """
        mine, right, wrong, negatives = self._at_thresholds(weights)
        if not len(self.positive):
            return np.full(len(weights), np.nan)
        found, passed = _cumulative(mine), _cumulative(weights.take(self.negative, axis=1))
        # A sample that is not drawn lends no threshold: above it lies another set than above the next.
        drawn = found.take(self._last, axis=1) > found.take(self._first, axis=1)
        _, best = _best(mine, right, wrong, drawn)
        right = found[:, -1:] - found.take(self._last, axis=1)
        wrong = passed[:, -1:] - passed.take(self._upper, axis=1)
        return _accuracy(mine, right, wrong, negatives, best)

    def _at_thresholds(self, weights: Values) -> tuple[Values, Values, Values, Values]:
        """Return the positives' weights, and the weights called rightly and wrongly at each positive's score.

        No other thresholds matter: one that lets only negatives pass improves nothing.
        """
        mine = weights.take(self.positive, axis=1)
        found = _cumulative(mine)
        passed = _cumulative(weights.take(self.negative, axis=1))
        right = found[:, -1:] - found.take(self._first, axis=1)
        wrong = passed[:, -1:] - passed.take(self._lower, axis=1)
        return mine, right, wrong, passed[:, -1]


def _best(
    mine: Values, right: Values, wrong: Values, allowed: NDArray[np.bool_] | None = None
) -> tuple[Values, NDArray[np.intp]]:
    """Return the highest F1, [R] (NaN where positives have no weight), and the place of its threshold."""
    positives = mine.sum(axis=1)
    f1 = ratio(2 * right, positives[:, None] + right + wrong)
    # The positives of a replicate may all weigh nothing; that is undefined, not the first threshold.
    candidates = np.where(np.isnan(f1), -1.0, f1)
    best = (candidates if allowed is None else np.where(allowed, candidates, -1.0)).argmax(axis=1)
    highest = np.take_along_axis(f1, best[:, None], axis=1)[:, 0]
    return np.where(positives == 0, np.nan, highest), best


def _accuracy(
    mine: Values, right: Values, wrong: Values, negatives: Values, best: NDArray[np.intp]
) -> Values:
    """Return the accuracy at one threshold per row, [R]; NaN where positives have no weight."""
    positives = mine.sum(axis=1)
    right, wrong = (np.take_along_axis(array, best[:, None], axis=1)[:, 0] for array in (right, wrong))
    accuracy = ratio(right + negatives - wrong, positives + negatives)
    return np.where(positives == 0, np.nan, accuracy)


def _cumulative(weights: Values) -> Values:
    """Return sums of the first 0, 1, ... n columns, [R, n + 1]."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def mean_over_labels(scores: Values, targets: Values, read: Callable[[Ranking, Values], Values]) -> Statistic:
    """Return the unweighted mean over labels [N, C]; NaN where one of them is undefined."""
    rankings = [Ranking(scores[:, k], targets[:, k]) for k in range(scores.shape[1])]
    return mean_of([partial(read, ranking) for ranking in rankings])


Criterion = Callable[[Values, Values, float, float], Values]


def _f1(right: Values, wrong: Values, positives: float, negatives: float) -> Values:
    return ratio(2 * right, positives + right + wrong)


def _mcc(right: Values, wrong: Values, positives: float, negatives: float) -> Values:
    """Matthews' correlation (BBA 1975); 0 where one side of the table is empty (as scikit-learn)."""
    called, refused = right + wrong, positives + negatives - right - wrong
    cross = right * (negatives - wrong) - wrong * (positives - right)
    root = np.sqrt(called * refused * positives * negatives)
    return np.asarray(np.divide(cross, root, out=np.zeros_like(right), where=root > 0), np.float64)


CRITERIA: dict[str, Criterion] = {"f1": _f1, "mcc": _mcc}


def choose_threshold(scores: Values, targets: NDArray[np.float64], by: str = "f1") -> float:
    """Choose the threshold that serves validation data best; a score at or above it is called positive.

    Args:
        scores: [N] on validation.
        targets: [N], 1, 0 or NaN (does not count).
        by: ``f1`` (MedKLIP's criterion) or ``mcc`` (KAD's), both here on validation and never on test.

    Returns:
        The lowest of the best thresholds, one of the scores; NaN without a positive.
    """
    ranking = Ranking(scores, targets)
    if not len(ranking.positive):
        return float("nan")
    mine, right, wrong, negatives = ranking._at_thresholds(np.ones((1, len(scores))))
    values = CRITERIA[by](right[0], wrong[0], float(mine.sum()), float(negatives[0]))
    return float(ranking.scores[values.argmax()])
