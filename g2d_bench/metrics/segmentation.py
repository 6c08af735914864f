"""Segmentation metrics, all from three numbers per image: common, predicted and true pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.spec import MetricSpec

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def counts(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> tuple[Counts, Counts, Counts]:
    """Count pixels of packed masks.

    Args:
        predicted: bits [N, ceil(H W / 8)], as `numpy.packbits` makes them.
        true: likewise.

    Returns:
        Common, predicted and true pixels, each [N].
    """

    def ones(bits: NDArray[np.uint8]) -> Counts:
        return np.bitwise_count(bits).sum(axis=1, dtype=np.int64)

    return ones(predicted & true), ones(predicted), ones(true)


def _dice(common: Counts, predicted: Counts, true: Counts) -> Values:
    """Per image 2 |P ∩ T| / (|P| + |T|) (Dice, Ecology 1945); NaN where both are empty."""
    both = predicted + true
    return np.divide(2.0 * common, both, out=np.full(len(both), np.nan), where=both > 0)


def _dice_positive(common: Counts, predicted: Counts, true: Counts) -> Values:
    return np.where(true > 0, _dice(common, predicted, true), np.nan)


def _iou_positive(common: Counts, predicted: Counts, true: Counts) -> Values:
    union = predicted + true - common
    iou = np.divide(1.0 * common, union, out=np.full(len(union), np.nan), where=union > 0)
    return np.where(true > 0, iou, np.nan)


def _specificity_empty(common: Counts, predicted: Counts, true: Counts) -> Values:
    return np.where(true > 0, np.nan, predicted == 0)


def _dice_legacy(common: Counts, predicted: Counts, true: Counts) -> Values:
    return np.where(true > 0, _dice(common, predicted, true), predicted == 0)


PER_IMAGE: dict[str, Callable[[Counts, Counts, Counts], Values]] = {
    "dice_positive": _dice_positive,
    "iou_positive": _iou_positive,
    "specificity_empty": _specificity_empty,
    "dice_legacy": _dice_legacy,
}
"""Value per image; NaN where the image does not count. The metric is the mean of the others."""

METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec("dice_positive", "mean Dice over the images that show the finding"),
        MetricSpec("iou_positive", "mean intersection over union over the images that show the finding"),
        MetricSpec(
            "specificity_empty", "share of the images without the finding in which no pixel is predicted"
        ),
        MetricSpec(
            "dice_legacy",
            "mean over all images; one without the finding scores 1 if nothing is predicted, else 0 (MGCA, GLoRIA)",
        ),
        MetricSpec(
            "dice_legacy_batched",
            "dice_legacy averaged within batches, then over batches, a short last one counting in full (MGCA)",
        ),
        MetricSpec("dice_pooled", "Dice of all images' pixels taken together"),
    )
}


def segmentation_metrics(
    common: Counts, predicted: Counts, true: Counts, *, names: Sequence[str], batch: int = 8
) -> dict[str, float]:
    """Compute metrics by name.

    Args:
        common: pixels both predicted and true, [N].
        predicted: predicted pixels, [N].
        true: true pixels, [N].
        names: which metrics.
        batch: images per batch, for ``dice_legacy_batched`` only.

    Returns:
        Shares in [0, 1]; NaN where no image counts.
    """
    return {name: _metric(name, common, predicted, true, batch) for name in names}


def _metric(name: str, common: Counts, predicted: Counts, true: Counts, batch: int) -> float:
    if name == "dice_pooled":
        both = int(predicted.sum() + true.sum())
        return 2.0 * int(common.sum()) / both if both else float("nan")
    if name == "dice_legacy_batched":
        values = _dice_legacy(common, predicted, true)
        if not len(values):
            return float("nan")
        return float(np.mean([values[n : n + batch].mean() for n in range(0, len(values), batch)]))
    return mean_known(PER_IMAGE[name](common, predicted, true))


def mean_known(values: Values) -> float:
    """Return the mean of what is not NaN, NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def all_empty(true: Counts, *, names: Sequence[str]) -> dict[str, float]:
    """Return the metrics of a predictor that never predicts a pixel, on these very images."""
    nothing = np.zeros_like(true)
    return segmentation_metrics(nothing, nothing, true, names=names)


def per_sample(name: str, predictions: dict[str, NDArray[Any]]) -> Values:
    """Return a metric's value per test image from stored predictions, NaN where it does not count.

    Raises:
        KeyError: the metric is no mean over images.
    """
    return PER_IMAGE[name](predictions["intersection"], predictions["predicted"], predictions["true"])
