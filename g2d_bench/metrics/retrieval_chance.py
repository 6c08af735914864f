"""What retrieval earns without looking: candidates in random order, or the commonest report first.

Both are expectations, computed from what is true of a test set, so nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.retrieval import RANKS, WAYS, class_hits, classes
from g2d_bench.metrics.spec import Predictions, Values

RANDOM, COMMONEST = "random-order", "most-common"
"""Names of the predictors: a random order, and the order of how often the training images have a report."""


def without_looking(predictions: Predictions, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the metrics of the trivial predictors.

    Asked for images, neither predictor knows anything: the commonest report says nothing of an image, and
    both rows say what a random order earns.

    Args:
        predictions: ``report``, ``seen`` and, for metrics by class, ``targets`` and what asks.
        names: of metrics.

    Returns:
        Predictor to metric to value. Metrics of other families are left out.

    Raises:
        KeyError: an array is missing.
    """
    found: dict[str, dict[str, float]] = {}
    for who in (RANDOM, COMMONEST):
        values = {name: value for way in WAYS for name, value in _partners(predictions, way, who, names)}
        values |= _by_class(predictions, who, names)
        found[who] = {name: values[name] for name in names if name in values}
    return found


def _partners(predictions: Predictions, way: str, who: str, names: Sequence[str]) -> list[tuple[str, float]]:
    if not any(name.startswith((f"{way}_r", f"{way}_m")) for name in names):
        return []
    reports, number, count = np.unique(predictions["report"], return_inverse=True, return_counts=True)
    images = len(number)
    place: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
    if way == "t2i":
        place = (np.zeros(images, np.int64), np.full(images, images), count[number])
    elif who == RANDOM:
        place = (np.zeros(images, np.int64), np.full(images, len(reports)), np.ones(images, np.int64))
    else:
        seen = np.zeros(len(reports), np.int64)
        seen[number] = predictions["seen"]
        ordered = np.sort(seen)
        ahead = len(seen) - np.searchsorted(ordered, seen, side="right")
        level = len(seen) - ahead - np.searchsorted(ordered, seen, side="left")
        place = (ahead[number], level[number], np.ones(images, np.int64))
    reached = _reached(*place)
    before = np.concatenate([[0.0], reached[:-1]])
    places = np.arange(1, len(reached) + 1)
    low = int(np.argmax(reached >= 0.5 - _LEAST)) + 1
    high = int(np.argmax(reached > 0.5 + _LEAST)) + 1
    return [
        *((f"{way}_r{cut}", float(reached[min(cut, len(reached)) - 1])) for cut in RANKS),
        (f"{way}_median", (low + high) / 2),
        (f"{way}_mrr", float(((reached - before) / places).sum())),
    ]


_LEAST = 1e-9
"""Rounding of a sum of shares that should be a half."""


def _reached(ahead: NDArray[np.int64], level: NDArray[np.int64], right: NDArray[np.int64]) -> Values:
    """Return the share of queries whose first right candidate stands at most at rank 1, 2, ...

    Args:
        ahead: per query, wrong candidates before all others, [N].
        level: per query, candidates after them in random order, the right ones among them, [N].
        right: per query, right ones, [N].
    """
    kinds, counts = np.unique(np.stack([ahead, level, right], axis=1), axis=0, return_counts=True)
    total = np.zeros(int((ahead + level).max()))
    for (before, size, good), count in zip(kinds.tolist(), counts.tolist(), strict=True):
        drawn = np.arange(size)
        missed = np.cumprod(np.clip((size - good - drawn) / (size - drawn), 0, 1))
        total[before : before + size] += count * (1 - missed)
        total[before + size :] += count
    return np.asarray(total / counts.sum(), np.float64)


def _by_class(predictions: Predictions, who: str, names: Sequence[str]) -> dict[str, float]:
    if not any("_class_" in name for name in names):
        return {}
    try:
        of_class = classes(predictions)
    except InputError:
        return {}
    right = of_class[:, None] == of_class[None, :]
    scores = np.zeros(right.shape)
    if who == COMMONEST:
        scores = scores + np.asarray(predictions["seen"], np.float64)
    found: dict[str, float] = {}
    if any(name.startswith("i2t_class_") for name in names):
        for short, table in zip(("p", "hit"), class_hits(scores, right), strict=True):
            found |= {f"i2t_class_{short}{cut}": float(table[:, k].mean()) for k, cut in enumerate(RANKS)}
    share = right.mean(axis=0)[np.unique(of_class, return_index=True)[1]]
    by_label = dict(zip(np.unique(of_class).tolist(), share.tolist(), strict=True))
    for query, way in (("text", "t2i"), ("image", "i2i")):
        if f"{query}_label" in predictions:
            wanted = [by_label.get(label, 0.0) for label in predictions[f"{query}_label"].tolist()]
            found |= {
                name: float(np.mean(wanted)) for name in names if name.startswith(f"{way}_class_p") and wanted
            }
    return found
