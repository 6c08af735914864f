"""How well single test cases went, so that the best, the median and the worst can be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.spec import Predictions, Values

BOXES = 10
"""Strongest boxes of an image that are looked at."""


@dataclass(frozen=True)
class Scored:
    """A score per test case, higher is better.

    Attributes:
        values: [N], NaN where a case says nothing (an image without finding, in a segmentation).
        measure: what the score is, for captions.
        share: whether it is shown in percent.
    """

    values: Values
    measure: str
    share: bool = True

    def show(self, place: int) -> str:
        """Write the score of a case."""
        value = float(self.values[place])
        return f"{100 * value:.0f} %" if self.share else f"{value:.2f}"


def scored(kind: str, metric: str, predictions: Predictions) -> Scored | None:
    """Score the cases of a record.

    Args:
        kind: of the task.
        metric: its main metric, by which maps are scored.
        predictions: the arrays beside the record.

    Returns:
        None for a kind whose cases have no score, and where arrays are missing.
    """
    try:
        if kind == "segmentation":
            return Scored(_dice(predictions), "Dice")
        if kind == "detection":
            return Scored(_found(predictions), "best overlap (IoU) with the true boxes")
        if kind in ("classification", "zero-shot"):
            return Scored(_ordered(predictions), "right order against the others")
        spec = metric_spec(metric)
        if spec.per_sample is None:
            return None
        sign = 1.0 if spec.higher_is_better else -1.0
        return Scored(sign * np.asarray(spec.per_sample(predictions), np.float64), metric, spec.share)
    except (KeyError, InputError, IndexError, ValueError):
        return None


def extremes(values: Values) -> dict[str, int]:
    """Choose the best, the median and the worst case; fewer where there are fewer.

    Example:
        >>> extremes(np.array([0.2, np.nan, 0.9, 0.5]))
        {'best': 2, 'median': 3, 'worst': 0}
    """
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(-values[known], kind="stable")]
    if not len(order):
        return {}
    places = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    chosen: dict[str, int] = {}
    for name, place in places.items():
        if int(place) not in chosen.values():
            chosen[name] = int(place)
    return chosen


def _dice(predictions: Predictions) -> Values:
    """Dice of images that show the finding."""
    common, predicted, true = (
        np.asarray(predictions[name], np.float64) for name in ("intersection", "predicted", "true")
    )
    dice = np.divide(2 * common, predicted + true, out=np.full(len(true), np.nan), where=true > 0)
    return np.asarray(dice, np.float64)


def _found(predictions: Predictions) -> Values:
    """Mean over the true boxes of an image of the best overlap with one of its strongest boxes."""
    count = len(predictions["id"])
    values = np.full(count, np.nan)
    for image in np.unique(np.asarray(predictions["true_image"], np.int64)):
        true = np.asarray(predictions["true_box"], np.float64)[predictions["true_image"] == image]
        boxes = strongest(predictions, int(image))
        values[image] = overlaps(true, boxes).max(axis=1).mean() if len(boxes) else 0.0
    return values


def strongest(predictions: Predictions, image: int, count: int = BOXES) -> NDArray[np.float64]:
    """Return the strongest predicted boxes of an image, [P, 4] (left, top, width, height)."""
    mine = np.flatnonzero(np.asarray(predictions["box_image"]) == image)
    order = mine[np.argsort(-np.asarray(predictions["box_score"], np.float64)[mine], kind="stable")]
    boxes = np.asarray(predictions["box"], np.float64).reshape(-1, 4)[order[:count]]
    return boxes[(boxes[:, 2] > 0) & (boxes[:, 3] > 0)]


def told_boxes(predictions: Predictions, image: int) -> NDArray[np.float64]:
    """Return the predicted boxes that tell most of an image, [P, 4] (left, top, width, height).

    They are the strongest, as many as there are true ones, and of the ten strongest those that overlap the
    true ones most.
    """
    true = np.asarray(predictions["true_box"], np.float64).reshape(-1, 4)
    true = true[np.asarray(predictions["true_image"]) == image]
    boxes, first = strongest(predictions, image), strongest(predictions, image, max(1, len(true)))
    best = boxes[overlaps(true, boxes).argmax(axis=1)] if len(boxes) else boxes
    return np.asarray(np.unique(np.concatenate([first, best]), axis=0), np.float64)


def overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of every two boxes, [G, P]."""
    a, b = first[:, None], second[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0), np.float64)


def _ordered(predictions: Predictions) -> Values:
    """Mean over labels: the share of cases of the other side that stand on the right side of this one."""
    scores = np.asarray(predictions["scores"], np.float64)
    targets = np.asarray(predictions["targets"], np.float64)
    table = np.full(scores.shape, np.nan)
    for k in range(scores.shape[1]):
        positive, negative = (np.sort(scores[targets[:, k] == side, k]) for side in (1, 0))
        if not len(positive) or not len(negative):
            continue
        for side, others in ((1, negative), (0, positive)):
            rows = targets[:, k] == side
            below = np.searchsorted(others, scores[rows, k], "left")
            equal = np.searchsorted(others, scores[rows, k], "right") - below
            share = (below + equal / 2) / len(others)
            table[rows, k] = share if side else 1 - share
    known = ~np.isnan(table)
    total = np.where(known, table, 0).sum(axis=1)
    count = known.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), np.float64)
