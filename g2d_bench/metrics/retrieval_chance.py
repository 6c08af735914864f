"""What retrieval earns without looking: candidates in random order, or the commonest report first.

Both are expectations, computed from what is true of a test set, so nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.metrics.retrieval import RANKS, WAYS, Places, class_hits, classes
from g2d_bench.metrics.spec import Predictions

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
    one = np.ones(images, np.int64)
    if way == "t2i":
        places = Places(0 * one, images * one, count[number])
    elif who == RANDOM:
        places = Places(0 * one, len(reports) * one, one)
    else:
        seen = np.zeros(len(reports), np.int64)
        seen[number] = predictions["seen"]
        ordered = np.sort(seen)
        ahead = len(seen) - np.searchsorted(ordered, seen, side="right")
        tied = len(seen) - ahead - np.searchsorted(ordered, seen, side="left")
        places = Places(ahead[number], tied[number], one)
    return [
        *((f"{way}_r{cut}", float(places.within(cut).mean())) for cut in RANKS),
        (f"{way}_median", float(places.median()(np.ones((1, images)))[0])),
        (f"{way}_mrr", float(places.reciprocal().mean())),
    ]


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
