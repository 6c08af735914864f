"""Recall at few false positives per image, as ChestX-Det10's own evaluation reads it.

From the README and the rules of ``eval.py`` in Deepwise-AILab/ChestX-Det10-Dataset: label by label, boxes go
strongest first over all images; a box hits if the truth of its image that it overlaps most is still free and
the overlap reaches 0.5, else it is a false positive, even where a second truth would have been free. A box
reaches from its first to its last pixel, both included, so that sides are one longer than the difference of
corners. Between the points of the curve recall is read along a line; beyond its last false positive it
stays. The value is the mean over labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from g2d_bench.metrics.boxes import READS, Bools, Detections, Ints, without_area
from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values

RATES = (0.05, 0.1, 0.2)
"""False positives per image and label."""
IOU = 0.5
_ROWS = 64
"""Resamplings that are read together."""


@dataclass(frozen=True)
class Curve:
    """The boxes of one label, strongest first (of equal ones the first image's), and its truths.

    Attributes:
        place: number of each box among the detections, [P].
        image: image of each box, [P].
        hit: whether it found a truth, [P].
        true_image: image of each truth, [G].
    """

    place: Ints
    image: Ints
    hit: Bools
    true_image: Ints


def _overlaps(box: Values, truths: Values) -> Values:
    """Return intersection over union of one box with truths [G, 4], last pixels included."""
    low = np.maximum(truths[:, :2], box[:2])
    high = np.minimum(truths[:, :2] + truths[:, 2:], box[:2] + box[2:])
    sides = np.maximum(high - low + 1, 0)
    common = sides[:, 0] * sides[:, 1]
    union = (truths[:, 2:] + 1).prod(axis=1) + (box[2:] + 1).prod() - common
    overlap: Values = common / union
    return overlap


def curves(boxes: Detections) -> list[Curve]:
    """Match the boxes of each label that has a truth."""
    found = []
    sound = ~without_area(boxes.box)
    for label in np.unique(boxes.true_label):
        mine = np.flatnonzero((boxes.label == label) & sound)
        mine = mine[np.lexsort((boxes.image[mine], -boxes.score[mine]))]
        own = boxes.true_label == label
        truths: dict[int, tuple[Values, Bools]] = {
            int(image): (boxes.true_box[place], np.ones(len(place), np.bool_))
            for image in np.unique(boxes.true_image[own])
            if len(place := np.flatnonzero(own & (boxes.true_image == image)))
        }
        hit = np.zeros(len(mine), np.bool_)
        for n, one in enumerate(mine):
            if (there := truths.get(int(boxes.image[one]))) is None:
                continue
            drawn, free = there
            overlap = _overlaps(boxes.box[one], drawn)
            best = int(overlap.argmax())
            if overlap[best] >= IOU and free[best]:
                hit[n], free[best] = True, False
        found.append(Curve(mine, boxes.image[mine], hit, boxes.true_image[own]))
    return found


def recalls(curve: Curve, weights: Values) -> Values:
    """Read one label's curve.

    Args:
        curve: its matched boxes.
        weights: how often each image counts, [R, images].

    Returns:
        [R, len(RATES)]; NaN where its truths have no weight.
    """
    truths = weights[:, curve.true_image].sum(axis=1)
    found = np.full((len(weights), len(RATES)), np.nan)
    images = weights.sum(axis=1)
    for start in range(0, len(weights), _ROWS):
        part = slice(start, start + _ROWS)
        drawn = weights[part][:, curve.image]
        right = np.cumsum(drawn * curve.hit, axis=1)
        wrong = np.cumsum(drawn * ~curve.hit, axis=1)
        for row in range(len(drawn)):
            at = start + row
            if truths[at] > 0:
                found[at] = _read(wrong[row] / images[at], right[row] / truths[at])
    return found


def _read(wrong: Values, recall: Values) -> Values:
    """Read a curve [P] of recall over false positives per image at :data:`RATES`."""
    if not len(wrong):
        return np.zeros(len(RATES))
    if not wrong[-1]:
        return np.full(len(RATES), recall[-1])
    rates = np.minimum(RATES, wrong[-1])
    # A curve begins at nothing found; among equal false positives the first stands, as for scipy's interp1d.
    x, y = np.r_[0.0, wrong], np.r_[0.0, recall]
    after = np.searchsorted(x, rates, side="left").clip(1)
    slope = (y[after] - y[after - 1]) / (x[after] - x[after - 1])
    value: Values = y[after - 1] + slope * (rates - x[after - 1])
    return value


def _prepared(*rates: float) -> Callable[[Predictions], Statistic]:
    places = [RATES.index(rate) for rate in rates]

    def prepare(predictions: Predictions) -> Statistic:
        matched = curves(Detections.read(predictions))

        def statistic(weights: Values) -> Values:
            if not matched:
                return np.full(len(weights), np.nan)
            table = np.stack([recalls(curve, weights)[:, places].mean(axis=1) for curve in matched])
            known = ~np.isnan(table)
            count = known.sum(axis=0)
            total = np.where(known, table, 0.0).sum(axis=0)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        return statistic

    return prepare


_WORDS = (
    "share of objects found at overlap 0.50 with {} false positives per image, mean over labels, as "
    "ChestX-Det10's own evaluation reads it"
)

METRICS: dict[str, MetricSpec] = {
    spec.name: replace(spec, reads=READS)
    for spec in (
        *(
            MetricSpec(f"recall_{name}fp", _WORDS.format(rate), prepared=_prepared(rate))
            for name, rate in (("005", 0.05), ("01", 0.1), ("02", 0.2))
        ),
        MetricSpec("recall_few_fp", _WORDS.format("0.05, 0.1 and 0.2"), prepared=_prepared(*RATES)),
    )
}
