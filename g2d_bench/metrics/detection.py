"""Detection metrics: boxes of all images matched at once, then read as each convention says.

The matcher and the average precision are those of COCO (Lin et al., ECCV 2014; pycocotools' COCOeval with
area ``all`` and no crowds), also in what papers do not say: which of two truths a box takes, how equal scores
are ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_BOXES = 100
"""Boxes per image and label that count, strongest first (COCO)."""
RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is read (COCO)."""
FROC_RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which sensitivity is read (LUNA16: Setio et al., MedIA 2017, section 4.2)."""
LEGACY_CONFIDENCE = 0.5

IOUS_COCO = tuple(np.linspace(0.5, 0.95, 10).tolist())
IOUS_MGCA = tuple(np.linspace(0.4, 0.75, 8).tolist())


@dataclass(frozen=True)
class Detections:
    """Predicted and true boxes of a set of images.

    Boxes are (left, top, width, height) in pixels of their image.

    Attributes:
        images: how many images there are, those without any box included.
        image: number of the image of each predicted box, [P].
        label: number of its label, [P].
        score: its confidence, [P].
        box: [P, 4].
        true_image: number of the image of each true box, [G].
        true_label: [G].
        true_box: [G, 4].
    """

    images: int
    image: Ints
    label: Ints
    score: Values
    box: Values
    true_image: Ints
    true_label: Ints
    true_box: Values

    @classmethod
    def read(cls, predictions: Predictions) -> Detections:
        """Take stored predictions apart; images are numbered as in the array ``id``."""

        def ints(name: str) -> Ints:
            return predictions[name].astype(np.int64)

        def floats(name: str) -> Values:
            return predictions[name].astype(np.float64)

        return cls(
            len(predictions["id"]),
            ints("box_image"),
            ints("box_label"),
            floats("box_score"),
            floats("box").reshape(-1, 4),
            ints("true_image"),
            ints("true_label"),
            floats("true_box").reshape(-1, 4),
        )

    def keep(self, boxes: Bools, truths: Bools) -> Detections:
        """Return the chosen predicted [P] and true [G] boxes; the images stay."""
        return Detections(
            self.images,
            self.image[boxes],
            self.label[boxes],
            self.score[boxes],
            self.box[boxes],
            self.true_image[truths],
            self.true_label[truths],
            self.true_box[truths],
        )


@dataclass(frozen=True)
class Matches:
    """Which predicted boxes hit, per label and overlap threshold.

    Attributes:
        images: how many images there are.
        thresholds: T, how many overlap thresholds.
        labels: labels that have a true box, ascending.
        image: per label, image of each box, strongest box first, [P_k].
        score: per label, [P_k].
        hit: per label, whether the box found a truth at each threshold, [T, P_k].
        true_image: per label, image of each true box, [G_k].
    """

    images: int
    thresholds: int
    labels: tuple[int, ...]
    image: tuple[Ints, ...]
    score: tuple[Values, ...]
    hit: tuple[Bools, ...]
    true_image: tuple[Ints, ...]


def pair_iou(first: Values, second: Values) -> Values:
    """Return the overlap of boxes, intersection over union.

    Args:
        first: [..., 4] (left, top, width, height).
        second: [..., 4], of a shape that broadcasts with ``first``.

    Returns:
        [...]; 0 where the boxes share no area.
    """
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    sides = high - low
    common = sides[..., 0] * sides[..., 1]
    union = first[..., 2] * first[..., 3] + second[..., 2] * second[..., 3] - common
    shared = (sides > 0).all(axis=-1)
    overlap: Values = np.divide(common, union, out=np.zeros(shared.shape), where=shared)
    return overlap


def match(boxes: Detections, ious: Sequence[float], *, max_boxes: int = MAX_BOXES) -> Matches:
    """Match predicted with true boxes, image by image and label by label.

    The strongest box goes first and takes, of the truths that are still free, the one that it overlaps most
    (of several equal ones the last), if the overlap reaches the threshold.

    Args:
        boxes: predicted and true boxes.
        ious: T overlap thresholds above 0.
        max_boxes: boxes per image and label that count.
    """
    group = boxes.label * boxes.images + boxes.image
    # lexsort is stable: equal scores stay in the order in which they were given.
    order = np.lexsort((-boxes.score, group))
    group = group[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(group) else np.zeros(0, np.int64)
    rank = np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)]))
    order, group, rank = (array[rank < max_boxes] for array in (order, group, rank))
    hit = _hits(boxes, order, group, rank, ious)

    labels = tuple(int(label) for label in np.unique(boxes.true_label))
    image, score, hits, true_image = [], [], [], []
    for label in labels:
        mine = np.flatnonzero(boxes.label[order] == label)
        mine = mine[np.argsort(-boxes.score[order[mine]], kind="stable")]
        image.append(boxes.image[order[mine]])
        score.append(boxes.score[order[mine]])
        hits.append(hit[:, mine])
        true_image.append(boxes.true_image[boxes.true_label == label])
    return Matches(
        boxes.images, len(ious), labels, tuple(image), tuple(score), tuple(hits), tuple(true_image)
    )


def _hits(boxes: Detections, order: Ints, group: Ints, rank: Ints, ious: Sequence[float]) -> Bools:
    """Say which boxes hit, [T, P]; all groups (image and label) take their r-th box together."""
    hit = np.zeros((len(ious), len(order)), np.bool_)
    true_group = boxes.true_label * boxes.images + boxes.true_image
    known, place, count = np.unique(true_group, return_inverse=True, return_counts=True)
    if not len(known) or not len(order):
        return hit
    # Truths in a table [groups, most truths of a group]; the rest of a row overlaps nothing.
    by_group = np.argsort(place, kind="stable")
    column = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    truths = np.zeros((len(known), count.max(), 4))
    truths[place[by_group], column] = boxes.true_box[by_group]
    free = np.ones((len(ious), len(known), truths.shape[1]), np.bool_)

    row = np.minimum(np.searchsorted(known, group), len(known) - 1)
    candidates = np.flatnonzero(known[row] == group)
    candidates = candidates[np.argsort(rank[candidates], kind="stable")]
    # As COCOeval: an overlap of exactly 1 must pass a threshold of 1.
    limits = np.minimum(np.asarray(ious), 1 - 1e-10)[:, None]
    last = truths.shape[1] - 1
    steps = np.arange(len(ious))[:, None]
    for turn in np.split(candidates, np.flatnonzero(np.diff(rank[candidates])) + 1):
        groups = row[turn]
        overlap = pair_iou(boxes.box[order[turn], None], truths[groups])
        # Most boxes overlap nothing enough: only the others need the costly choice per threshold.
        near = overlap.max(axis=1) >= limits.min()
        turn, groups, overlap = turn[near], groups[near], overlap[near]
        open_overlap = np.where(free[:, groups], overlap, -1.0)
        best = last - open_overlap[..., ::-1].argmax(axis=2)
        taken = np.take_along_axis(open_overlap, best[..., None], axis=2)[..., 0] >= limits
        hit[:, turn] = taken
        free[steps, groups, best] &= ~taken
    return hit


def average_precision(matches: Matches, weights: Values | None = None) -> Values:
    """Return COCO's interpolated average precision per threshold and label.

    Args:
        matches: from :func:`match`.
        weights: how often each image counts, [R, images]; once if None. Whole numbers give the same as
            images repeated, so that a bootstrap need not match again.

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
        matches: from :func:`match`; the first threshold is used.
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
    spec.name: spec
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
        names: which metrics.

    Returns:
        Shares in [0, 1]; NaN where there is no truth.
    """
    return {name: METRICS[name](predictions) for name in names}
