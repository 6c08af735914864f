"""Scores of classifiers in single precision, where no metric can tell.

The last bits of a probability are noise that no compression can shrink, and nothing reads them: areas under
curves, F1 and accuracy know only the order of the scores and the side of the thresholds on which they lie;
calibration moves in the eighth digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.classification import BINS

FARTHEST = 2.0**-21
"""How far a score may move: eight steps of single precision below 1. Of scores that crowd there, some would
go farther to stay apart, and calibration with them; so near, none moves by more than passes for rounding."""


def reduce_scores(predictions: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Round scores so that their order, their ties and all that is decided by them stay.

    Args:
        predictions: with ``scores`` [N, C], and ``thresholds`` [C] where there are any.

    Returns:
        The same arrays with single-precision scores, or as they are where rounding would change a decision
        or move a score farther than :data:`FARTHEST`.
    """
    arrays = dict(predictions)
    scores = np.asarray(arrays["scores"], np.float64)
    if not scores.size:
        return arrays
    rounded = np.column_stack([_round(column) for column in scores.T])
    before, after = (
        _decisions(values, arrays.get("thresholds")) for values in (scores, rounded.astype(np.float64))
    )
    same = all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    near = bool((np.abs(rounded - scores) <= FARTHEST).all())
    return arrays | {"scores": rounded} if same and near else arrays


def _decisions(scores: NDArray[np.float64], thresholds: NDArray[Any] | None) -> list[NDArray[Any]]:
    """Return what metrics make of scores but for their order: bins, classes, what is called positive."""
    made = [np.ceil(scores * BINS), scores >= 0.5, scores.argmax(axis=1)]
    return made if thresholds is None else [*made, scores >= np.asarray(thresholds, np.float64)]


def _round(column: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round one column; values that would fall together move apart by the smallest step there is."""
    values, place = np.unique(column, return_inverse=True)
    near = values.astype(np.float32)
    # Downwards: there is more room between small numbers, and none above a probability of 1.
    for n in range(len(near) - 2, -1, -1):
        if near[n] >= near[n + 1]:
            near[n] = np.nextafter(near[n + 1], np.float32(-np.inf))
    return near[place]
