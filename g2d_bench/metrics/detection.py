"""Detection metrics: curves over matched boxes, read as each convention says.

The average precision is that of COCO (Lin et al., ECCV 2014; pycocotools' COCOeval with area ``all`` and no
crowds) on the matches of :mod:`g2d_bench.metrics.boxes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from g2d_bench.metrics.boxes import READS, Detections, Ints, Matches, match
from g2d_bench.metrics.registry import measure
from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is read (COCO)."""
FROC_RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which sensitivity is read (LUNA16: Setio et al., MedIA 2017, section 4.2)."""
LEGACY_CONFIDENCE = 0.5

IOUS_COCO = tuple(np.linspace(0.5, 0.95, 10).tolist())
IOUS_MGCA = tuple(np.linspace(0.4, 0.75, 8).tolist())


def average_precision(matches: Matches, weights: Values | None = None) -> Values:
    """Return COCO's interpolated average precision per threshold and label.

    Args:
        matches: from :func:`~g2d_bench.metrics.boxes.match`.
        weights: how often each image counts, [R, images]; once if None. Whole numbers give the same as
            images repeated, so that a bootstrap need not match again. Only boxes of equal score in one image
            stand in another order: here a box comes with all its copies before the next one, and COCOeval
            takes copy by copy of the image.

    Returns:
        [R, T, K], mean over 101 recalls of the highest precision at that recall or a higher one; NaN for a
        label whose truths have no weight. R is 1 without weights.
    """
    weights = np.ones((1, matches.images)) if weights is None else weights
    found = np.full((len(weights), matches.thresholds, len(matches.labels)), np.nan)
    for k, (image, hits, truth) in enumerate(
        zip(matches.image, matches.hit, matches.true_image, strict=True)
    ):
        truths = weights[:, truth].sum(axis=1)
        rows = truths > 0
        # A precision can only rise where a box hits.
        places = np.flatnonzero(hits.any(axis=0))
        counted = _running(weights[rows], image, places)
        right = weights[rows][:, image[places]]
        for t, hit in enumerate(hits[:, places]):
            found[rows, t, k] = _precision(right[:, hit], counted[:, hit], truths[rows])
    return found


def _running(weights: Values, image: Ints, places: Ints) -> Values:
    """Add up the weights of boxes down to each of some places.

    Args:
        weights: [R, images].
        image: image of each box, [P].
        places: ascending numbers of boxes, [H].

    Returns:
        [R, H].
    """
    from scipy.sparse import csr_array

    count = places[-1] + 1 if len(places) else 0
    # A step is the boxes from one place to the next; a sparse matrix says how often it meets each image.
    step = np.searchsorted(places, np.arange(count))
    steps = csr_array((np.ones(count), (step, image[:count])), shape=(len(places), weights.shape[1]))
    return np.cumsum((steps @ weights.T).T, axis=1)


def _precision(right: Values, counted: Values, truths: Values) -> Values:
    """Average the precisions of curves.

    Args:
        right: weight of each hit, strongest first, [R, H].
        counted: weight of all boxes down to that hit, [R, H].
        truths: weight of all truths, [R].

    Returns:
        [R].
    """
    right = np.cumsum(right, axis=1)
    precision = right / (counted + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # A hit is the first to reach some recalls; those beyond the last hit have precision 0.
    reached = np.searchsorted(RECALLS, right / truths[:, None], side="right")
    new = np.diff(reached, axis=1, prepend=0, append=len(RECALLS))
    read = np.repeat(np.pad(precision, ((0, 0), (0, 1))).ravel(), new.ravel())
    averages: Values = read.reshape(len(right), len(RECALLS)).mean(axis=1)
    return averages


def sensitivities(
    matches: Matches, rates: Sequence[float] = FROC_RATES, weights: Values | None = None
) -> Values:
    """Read the free-response curve: sensitivity at a number of false positives per image.

    Args:
        matches: from :func:`~g2d_bench.metrics.boxes.match`; the first threshold is used.
        rates: F false positives per image, all images counted.
        weights: as in :func:`average_precision`.

    Returns:
        [R, F, K], the share of truths found at the lowest score threshold with no more false positives than
        that; boxes of equal score pass a threshold together. NaN for a label whose truths have no weight.
    """
    weights = np.ones((1, matches.images)) if weights is None else weights
    found = np.full((len(weights), len(rates), len(matches.labels)), np.nan)
    allowed = weights.sum(axis=1)[:, None] * np.asarray(rates)
    for k, (image, score, hits, truth) in enumerate(
        zip(matches.image, matches.score, matches.hit, matches.true_image, strict=True)
    ):
        truths = weights[:, truth].sum(axis=1)
        rows = truths > 0
        # Sensitivity rises with a hit only, and that passes with all boxes of its score.
        ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])
        ends = np.unique(ends[np.searchsorted(ends, np.flatnonzero(hits[0]))])
        all_boxes = _running(weights[rows], image, ends)
        right = _running(weights[rows], image[hits[0]], np.cumsum(hits[0])[ends] - 1)
        passed = ((all_boxes - right)[:, :, None] <= allowed[rows][:, None, :]).sum(axis=1)
        right = np.pad(right, ((0, 0), (1, 0)))
        found[rows, :, k] = np.take_along_axis(right, passed, axis=1) / truths[rows][:, None]
    return found


def published(boxes: Detections) -> Detections:
    """Cut as the published code does (MGCA's detector, repeated by those who quote it).

    Boxes below half confidence go before any curve is drawn; then images without a box left and images
    without truth do not count at all, neither their misses nor their false positives.
    """
    sure = boxes.score >= LEGACY_CONFIDENCE
    counted = np.zeros(boxes.images, np.bool_)
    counted[boxes.image[sure]] = True
    has_truth = np.zeros(boxes.images, np.bool_)
    has_truth[boxes.true_image] = True
    counted &= has_truth
    return boxes.keep(sure & counted[boxes.image], counted[boxes.true_image])


Reader = Callable[[Matches, Values], Values]


def _prepared(
    ious: Sequence[float], read: Reader, cut: Callable[[Detections], Detections] = lambda boxes: boxes
) -> Callable[[Predictions], Statistic]:
    """Make a metric that matches once and reads the matches for every weighting of the images."""

    def prepare(predictions: Predictions) -> Statistic:
        boxes = Detections.read(predictions)
        matches = match(cut(boxes), ious)

        def value(values: Values, truths: float) -> float:
            known = values[~np.isnan(values)]
            if known.size:
                return float(known.mean())
            # With a cut, no image may be left: what is never found surely counts as not found.
            return 0.0 if truths > 0 else float("nan")

        def statistic(weights: Values) -> Values:
            truths = weights[:, boxes.true_image].sum(axis=1)
            return np.array([value(*row) for row in zip(read(matches, weights), truths, strict=True)])

        return statistic

    return prepare


METRICS: dict[str, MetricSpec] = {
    spec.name: replace(spec, reads=READS)
    for spec in (
        MetricSpec(
            "ap_coco",
            "average precision, mean over labels and overlaps 0.50, 0.55 ... 0.95, all images (COCO)",
            prepared=_prepared(IOUS_COCO, average_precision),
        ),
        MetricSpec(
            "ap_50",
            "average precision at overlap 0.50, mean over labels, all images",
            prepared=_prepared((0.5,), average_precision),
        ),
        MetricSpec(
            "ap_40_75",
            "average precision, mean over labels and overlaps 0.40, 0.45 ... 0.75, all images, no cut of "
            "confidence",
            prepared=_prepared(IOUS_MGCA, average_precision),
        ),
        MetricSpec(
            "ap_legacy",
            "ap_40_75 of boxes with confidence 0.5 or more, over the images that have both such a box and a "
            "truth; all other images, with their misses and false positives, do not count (MGCA)",
            prepared=_prepared(IOUS_MGCA, average_precision, published),
            published=True,
        ),
        MetricSpec(
            "froc_sensitivity",
            "share of objects found at overlap 0.50, mean over labels and over 1/8, 1/4, 1/2, 1, 2, 4 and 8 "
            "false positives per image",
            prepared=_prepared((0.5,), lambda matches, weights: sensitivities(matches, FROC_RATES, weights)),
        ),
        MetricSpec(
            "sensitivity_1fp",
            "share of objects found at overlap 0.50 with one false positive per image, mean over labels",
            prepared=_prepared((0.5,), lambda matches, weights: sensitivities(matches, (1.0,), weights)),
        ),
    )
}


def detection_metrics(predictions: Predictions, *, names: Sequence[str]) -> dict[str, float]:
    """Compute metrics by name.

    Args:
        predictions: the arrays that :meth:`Detections.read` takes.
        names: which metrics, also those of other modules.

    Returns:
        Shares in [0, 1]; NaN where there is no truth.
    """
    return measure(predictions, tuple(names))
