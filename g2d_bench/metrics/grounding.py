"""Grounding metrics: a heat map of an image for a text, against the region that the text describes.

A map is reduced to a few numbers (:func:`read_map`); these are stored, and every metric is made from them:

``true`` [N] pixels of the region; ``cosine_common``, ``cosine_predicted``, ``minmax_common`` and
``minmax_predicted`` [N, T] pixels above each of :data:`THRESHOLDS`; ``chosen_*`` and ``medklip_*`` [N] above
the threshold from validation and MedKLIP's; ``inside_mean``, ``inside_variance``, ``outside_mean``,
``outside_variance``, ``hit`` [N]; for means over categories ``category`` [N].

Pixels that the encoder never saw (outside a crop) are NaN in the map: never predicted, no part of means and
variances, but still truth. An image without a region does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values, ratio, weighted_sums

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Cuts of the mean intersection over union (BioViL: Boecking et al., ECCV 2022)."""
MEDKLIP_THRESHOLD = 0.008
"""Cut of MedKLIP's released grounding test, made for its own attention maps."""
BELOW_ALL = "below_all_thresholds"
"""Note of a record of which no map reaches any of :data:`THRESHOLDS`, so that overlaps above them are 0."""
STEPS = 200
"""Thresholds tried on validation between the lowest and the highest value of its maps."""

FEW = 10
"""Up to so many thresholds, comparing all values with each is quicker than sorting the values."""

Mask = NDArray[np.bool_]


def union_mask(boxes: Iterable[tuple[float, float, float, float]], shape: tuple[int, int]) -> Mask:
    """Draw boxes into one mask; several boxes of one text are one region.

    Args:
        boxes: left, top, width, height in pixels.
        shape: (H, W).

    Returns:
        [H, W]; a pixel is inside where the box covers its centre. Parts beyond the edge are cut off.
    """
    mask = np.zeros(shape, np.bool_)
    for left, top, width, height in boxes:
        edges = np.array([left, left + width, top, top + height]) - 0.5
        x0, x1, y0, y1 = np.clip(np.ceil(edges), 0, None).astype(int)
        mask[y0:y1, x0:x1] = True
    return mask


def min_max(heat: Values) -> Values:
    """Stretch a map to [-1, 1] (code of MaCo); a constant map becomes -1, since it points nowhere."""
    low, high = _limits(heat)
    if not high > low:
        return np.where(np.isnan(heat), np.nan, -1.0)
    return 2 * (heat - low) / (high - low) - 1


def read_map(heat: NDArray[np.floating[Any]], truth: Mask, *, threshold: float) -> dict[str, Any]:
    """Reduce one map to the numbers that the metrics need.

    Args:
        heat: [H, W], higher where the text applies; NaN where the encoder saw nothing.
        truth: [H, W], the region.
        threshold: chosen on validation, in units of ``heat``; a pixel above it is predicted. NaN where
            none could be chosen, what hangs on it is then undefined.

    Raises:
        InputError: the shapes differ, or a value is infinite.
    """
    if heat.shape != truth.shape or heat.ndim != 2:
        raise InputError(f"map of shape {heat.shape} and region of shape {truth.shape}", field="heat map")
    if np.isinf(heat).any():
        raise InputError("a value is infinite", field="heat map")
    wide = np.asarray(heat, np.float64)
    known = ~np.isnan(wide)
    numbers: dict[str, Any] = {"true": int(truth.sum())}
    cuts: dict[str, tuple[Values, Sequence[float]]] = {
        "cosine": (wide, THRESHOLDS),
        "minmax": (min_max(wide), THRESHOLDS),
        "chosen": (wide, (threshold,)),
        "medklip": (wide, (MEDKLIP_THRESHOLD,)),
    }
    for name, (values, thresholds) in cuts.items():
        for part, pixels in (("common", values[truth]), ("predicted", values)):
            above = _above(pixels, thresholds)
            numbers[f"{name}_{part}"] = above if len(above) > 1 else above[0]
    if np.isnan(threshold):
        numbers |= {"chosen_common": np.nan, "chosen_predicted": np.nan}
    for name, region in (("inside", truth & known), ("outside", ~truth & known)):
        numbers[f"{name}_mean"], numbers[f"{name}_variance"] = _moments(wide[region])
    strongest = wide == _limits(wide)[1]
    # Of equally strong pixels one is as good as the other: the hit is the chance of taking a right one.
    numbers["hit"] = float(truth[strongest].mean()) if strongest.any() else np.nan
    return numbers


def read_maps(
    pairs: Iterable[tuple[NDArray[np.floating[Any]], Mask]], *, threshold: float
) -> dict[str, NDArray[Any]]:
    """Reduce the maps of a test set, in its order; see :func:`read_map`."""
    rows = [read_map(heat, truth, threshold=threshold) for heat, truth in pairs]
    if not rows:
        raise InputError("no maps", field="heat map")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def below_all(predictions: Predictions) -> str:
    """Say that no cosine of a test set's maps reaches a threshold of ``miou_cosine``; "" where one does.

    Example:
        >>> below_all({"cosine_predicted": np.zeros((4, 5), int)})
        'no cosine of its maps reaches 0.1, the lowest threshold'
    """
    if np.asarray(predictions["cosine_predicted"]).any():
        return ""
    return f"no cosine of its maps reaches {THRESHOLDS[0]}, the lowest threshold"


def choose_map_threshold(pairs: Sequence[tuple[NDArray[np.floating[Any]], Mask]]) -> float:
    """Choose the threshold with the highest mean Dice over the validation images that have a region.

    Args:
        pairs: maps and regions of validation.

    Returns:
        The lowest of the best of :data:`STEPS` thresholds that divide the range of all maps; NaN where no
        image has a region or all maps are constant.
    """
    limits = [_limits(heat) for heat, truth in pairs if truth.any()]
    if not limits:
        return float("nan")
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    if not high > low:
        return float("nan")
    grid = np.linspace(low, high, STEPS, endpoint=False)
    total = np.zeros(STEPS)
    for heat, truth in pairs:
        if truth.any():
            common, predicted = _above(heat[truth], grid), _above(heat, grid)
            total += 2 * common / (predicted + int(truth.sum()))
    return float(grid[total.argmax()])


def _limits(heat: NDArray[np.floating[Any]]) -> tuple[float, float]:
    known = heat[~np.isnan(heat)]
    return (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)


def _above(
    values: NDArray[np.floating[Any]], ascending: Sequence[float] | NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """Count values above each of ascending thresholds; NaN is above none."""
    cuts = np.asarray(ascending, np.float64)
    if len(cuts) <= FEW:
        return np.array([np.count_nonzero(values > cut) for cut in cuts], np.int64)
    known = np.sort(values[~np.isnan(values)])
    return known.size - np.searchsorted(known, cuts, side="right")


def _moments(values: Values) -> tuple[float, float]:
    """Return mean and variance (divided by n); exact for a constant, where rounding would look like noise."""
    if not values.size:
        return np.nan, np.nan
    if values.min() == values.max():
        return float(values.flat[0]), 0.0
    return float(values.mean()), float(values.var())


def _where_region(predictions: Predictions, values: Values) -> Values:
    return np.where(predictions["true"] > 0, values, np.nan)


def _cnr_signed(predictions: Predictions) -> Values:
    contrast = predictions["inside_mean"] - predictions["outside_mean"]
    noise = np.sqrt(predictions["inside_variance"] + predictions["outside_variance"])
    # A constant map has no contrast; a map of two exact levels has no noise, and no ratio.
    return _where_region(predictions, np.where(contrast == 0, 0.0, ratio(contrast, noise)))


def _cnr(predictions: Predictions) -> Values:
    return np.abs(_cnr_signed(predictions))


def _overlap(
    kind: str, measure: Callable[[Values, Values, Values], Values]
) -> Callable[[Predictions], Values]:
    """Per image an overlap above one threshold, or its mean over several."""

    def values(predictions: Predictions) -> Values:
        common, predicted = (
            np.asarray(predictions[f"{kind}_{part}"], np.float64).reshape(len(predictions["true"]), -1)
            for part in ("common", "predicted")
        )
        true = np.asarray(predictions["true"], np.float64)[:, None]
        return _where_region(predictions, measure(common, predicted, true).mean(axis=1))

    return values


def _iou(common: Values, predicted: Values, true: Values) -> Values:
    return ratio(common, predicted + true - common)


def _dice(common: Values, predicted: Values, true: Values) -> Values:
    return ratio(2 * common, predicted + true)


def _recall(common: Values, predicted: Values, true: Values) -> Values:
    return ratio(common, np.broadcast_to(true, common.shape))


def _pointing(predictions: Predictions) -> Values:
    return _where_region(predictions, predictions["hit"])


def _pointing_medklip(predictions: Predictions) -> Values:
    # The share of the strongest pixels that lie inside is above zero where any of them does.
    hit = np.asarray(predictions["hit"], np.float64)
    return _where_region(predictions, np.where(np.isnan(hit), np.nan, hit > 0))


def _by_category(per_sample: Callable[[Predictions], Values]) -> Callable[[Predictions], Statistic]:
    """Mean within each category of the test set, then over categories; NaN where one of them is undefined."""

    def prepared(predictions: Predictions) -> Statistic:
        values = per_sample(predictions)
        names, category = np.unique(predictions["category"], return_inverse=True)
        count = len(names)
        table = np.zeros((len(values), 2 * count))
        known = ~np.isnan(values)
        rows = np.flatnonzero(known)
        table[rows, category[rows]] = values[rows]
        table[rows, count + category[rows]] = 1.0

        def finish(sums: Values) -> Values:
            if not count:
                return np.full(len(sums), np.nan)
            return np.asarray(ratio(sums[:, :count], sums[:, count:]).mean(axis=1), np.float64)

        return weighted_sums(table, finish)

    return prepared


_MIOU_COSINE = _overlap("cosine", _iou)
_CUTS = "0.1, 0.2 ... 0.5"
_HIT = ("true", "hit")
_MOMENTS = ("true", "inside_mean", "inside_variance", "outside_mean", "outside_variance")


def _above_cut(cut: str) -> tuple[str, ...]:
    return "true", f"{cut}_common", f"{cut}_predicted"


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            "cnr",
            "contrast to noise: |mean inside - mean outside| / root of the summed variances (BioViL)",
            reads=_MOMENTS,
            share=False,
            bounds=(0.0, np.inf),
            per_sample=_cnr,
        ),
        MetricSpec(
            "cnr_signed",
            "contrast to noise with its sign: a map that lights up outside counts below zero (code of MaCo)",
            reads=_MOMENTS,
            share=False,
            bounds=(-np.inf, np.inf),
            per_sample=_cnr_signed,
        ),
        MetricSpec(
            "cnr_by_category",
            "cnr averaged within each category, then over categories",
            reads=(*_MOMENTS, "category"),
            share=False,
            bounds=(0.0, np.inf),
            prepared=_by_category(_cnr),
        ),
        MetricSpec(
            "miou_cosine",
            f"intersection over union above cosine {_CUTS}, averaged (BioViL)",
            reads=_above_cut("cosine"),
            per_sample=_MIOU_COSINE,
        ),
        MetricSpec(
            "miou_cosine_by_category",
            "miou_cosine averaged within each category, then over categories",
            reads=(*_above_cut("cosine"), "category"),
            prepared=_by_category(_MIOU_COSINE),
        ),
        MetricSpec(
            "miou_minmax",
            f"intersection over union above {_CUTS} of the map stretched to -1 ... 1, averaged (MaCo)",
            reads=_above_cut("minmax"),
            per_sample=_overlap("minmax", _iou),
        ),
        MetricSpec(
            "pointing",
            "share of images whose strongest pixel lies in the region; equal ones count by their share",
            reads=_HIT,
            per_sample=_pointing,
            by_label=True,
        ),
        MetricSpec(
            "pointing_by_category",
            "pointing averaged within each category, then over categories",
            reads=(*_HIT, "category"),
            prepared=_by_category(_pointing),
        ),
        MetricSpec(
            "iou_at_validation_by_category",
            "iou_at_validation averaged within each category, then over categories",
            reads=(*_above_cut("chosen"), "category"),
            prepared=_by_category(_overlap("chosen", _iou)),
        ),
        MetricSpec(
            "pointing_at_medklip",
            "share of images of which any of the strongest pixels lies in the region: a tie counts whole "
            "(MedKLIP)",
            reads=_HIT,
            per_sample=_pointing_medklip,
            published=True,
        ),
        *(
            MetricSpec(
                f"{name}_{kind}",
                f"{words}, map cut at {cut}",
                reads=_above_cut(stored),
                per_sample=_overlap(stored, measure),
                by_label=True,
                published=published,
            )
            for kind, stored, cut, published in (
                ("at_validation", "chosen", "the threshold with the highest Dice on validation", False),
                ("at_medklip", "medklip", f"{MEDKLIP_THRESHOLD} (MedKLIP)", True),
            )
            for name, words, measure in (
                ("iou", "intersection over union", _iou),
                ("dice", "Dice", _dice),
                ("recall", "share of the region's pixels found", _recall),
            )
        ),
    )
}
