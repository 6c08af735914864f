"""Segmentation metrics, all from three numbers per image: common, predicted and true pixels.

Stored predictions: ``intersection``, ``predicted``, ``true``, each [N], in pixels of the evaluation grid, and
for means of batches ``batch`` [N], the number of each image's batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values, ratio, weighted_sums

Counts = NDArray[np.int64]
BATCH = 8
"""Images per batch where none is said (MGCA's SIIM)."""
BATCHED = "dice_legacy_batched"
"""The one metric that needs to know the batches."""
READS = ("intersection", "predicted", "true")
"""Arrays of predictions that every metric reads."""


def counts(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> tuple[Counts, Counts, Counts]:
    """Count pixels of packed masks.

    Args:
        predicted: bits [N, ceil(H W / 8)], as `numpy.packbits` makes them.
        true: likewise.

    Returns:
        Common, predicted and true pixels, each [N].
    """

    p, t = _words(predicted), _words(true)
    return _ones(p & t), _ones(p), _ones(t)


def _words(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Read eight bytes as one number, which counts several times as fast; missing bytes are empty."""
    missing = -bits.shape[1] % 8
    whole = np.pad(bits, ((0, 0), (0, missing))) if missing else np.ascontiguousarray(bits)
    return whole.view(np.uint64)


def _ones(words: NDArray[np.uint64]) -> Counts:
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64), np.int64)


def _dice(common: Counts, predicted: Counts, true: Counts) -> Values:
    """Per image 2 |P ∩ T| / (|P| + |T|) (Dice, Ecology 1945); NaN where both are empty."""
    both = predicted + true
    return ratio((2 * common).astype(np.float64), both.astype(np.float64))


def _dice_positive(common: Counts, predicted: Counts, true: Counts) -> Values:
    return np.where(true > 0, _dice(common, predicted, true), np.nan)


def _iou_positive(common: Counts, predicted: Counts, true: Counts) -> Values:
    union = predicted + true - common
    return np.where(true > 0, ratio(common.astype(np.float64), union.astype(np.float64)), np.nan)


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


def per_sample(name: str, predictions: Predictions) -> Values:
    """Return a metric's value per test image from stored predictions, NaN where it does not count.

    Raises:
        KeyError: the metric is no mean over images.
    """
    return PER_IMAGE[name](*_wide(predictions))


def _wide(predictions: Predictions) -> tuple[Counts, Counts, Counts]:
    """Stored counts may be small integers, in which sums overflow."""
    common, predicted, true = (predictions[n].astype(np.int64) for n in READS)
    return common, predicted, true


def _batched(predictions: Predictions) -> Statistic:
    """Mean of ``dice_legacy`` within each batch, then over the batches that have weight."""
    values = per_sample("dice_legacy", predictions)
    given = predictions["batch"] if "batch" in predictions else batch_numbers(len(values), BATCH)
    batch = given.astype(np.int64)
    count = int(batch.max(initial=-1)) + 1
    table = np.zeros((len(values), 2 * count))
    rows = np.arange(len(values))
    table[rows, batch] = values
    table[rows, count + batch] = 1.0

    def finish(sums: Values) -> Values:
        means = ratio(sums[:, :count], sums[:, count:])
        known = ~np.isnan(means)
        return ratio(np.where(known, means, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))

    return weighted_sums(table, finish)


def batch_numbers(images: int, size: int) -> NDArray[np.int32]:
    """Number the batches of ``size`` images in which a test set is read, [images]; the last may be short."""
    return np.arange(images, dtype=np.int32) // size


def _pooled(predictions: Predictions) -> Statistic:
    common, predicted, true = _wide(predictions)
    table = np.stack([2.0 * common, 1.0 * (predicted + true)], axis=1)
    return weighted_sums(table, lambda sums: ratio(sums[:, 0], sums[:, 1]))


def _mean(name: str, description: str, *, published: bool = False) -> MetricSpec:
    return MetricSpec(
        name,
        description,
        per_sample=lambda predictions: per_sample(name, predictions),
        published=published,
    )


METRICS: dict[str, MetricSpec] = {
    spec.name: replace(spec, reads=READS)
    for spec in (
        _mean("dice_positive", "mean Dice over the images that show the finding"),
        _mean("iou_positive", "mean intersection over union over the images that show the finding"),
        _mean("specificity_empty", "share of the images without the finding in which no pixel is predicted"),
        _mean(
            "dice_legacy",
            "mean over all images; one without finding is 1 if nothing is predicted, else 0 (MGCA, GLoRIA)",
            published=True,
        ),
        MetricSpec(
            BATCHED,
            "dice_legacy averaged within batches, then over batches, a short last one in full (MGCA)",
            prepared=_batched,
            published=True,
        ),
        MetricSpec("dice_pooled", "Dice of all images' pixels taken together", prepared=_pooled),
    )
}


def segmentation_metrics(
    common: Counts, predicted: Counts, true: Counts, *, names: Sequence[str], batch: int = BATCH
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
    stored = {
        "id": np.arange(len(true)),
        "intersection": common,
        "predicted": predicted,
        "true": true,
        "batch": batch_numbers(len(true), batch),
    }
    return {name: METRICS[name](stored) for name in names}


def all_empty(true: Counts, *, names: Sequence[str], batch: int = BATCH) -> dict[str, float]:
    """Return the metrics of a predictor that never predicts a pixel, on these very images."""
    nothing = np.zeros_like(true)
    return segmentation_metrics(nothing, nothing, true, names=names, batch=batch)
