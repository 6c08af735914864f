"""Boxes of a set of images, and which of the predicted ones hit: all images matched at once.

The matcher is that of COCO (Lin et al., ECCV 2014; pycocotools' COCOeval with area ``all`` and no crowds),
also in what papers do not say: which of two truths a box takes, how equal scores are ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.spec import Predictions, Values

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_BOXES = 100
"""Boxes per image and label that count, strongest first (COCO)."""
READS = ("box_image", "box_label", "box_score", "box", "true_image", "true_label", "true_box")
"""Arrays of predictions that :meth:`Detections.read` takes."""


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
        """Take stored predictions apart; images are numbered as in ``id``, truths without area go."""

        def ints(name: str) -> Ints:
            return predictions[name].astype(np.int64)

        def floats(name: str) -> Values:
            return predictions[name].astype(np.float64)

        boxes = cls(
            len(predictions["id"]),
            ints("box_image"),
            ints("box_label"),
            floats("box_score"),
            floats("box").reshape(-1, 4),
            ints("true_image"),
            ints("true_label"),
            floats("true_box").reshape(-1, 4),
        )
        return boxes.keep(np.ones(len(boxes.image), np.bool_), ~without_area(boxes.true_box))

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
    (of several equal ones the last), if the overlap reaches the threshold. Boxes of negative area, true or
    predicted, are neither right nor wrong, as in COCOeval, whose range of areas begins at zero; among the
    ``max_boxes`` they count.

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
    counted = (rank < max_boxes) & ~without_area(boxes.box[order])
    order, group, rank = (array[counted] for array in (order, group, rank))
    boxes = boxes.keep(np.ones(len(boxes.image), np.bool_), ~without_area(boxes.true_box))
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


def without_area(boxes: Values) -> Bools:
    """Say which boxes have a negative area; one without extent has an area, of zero."""
    return np.asarray(boxes[:, 2] * boxes[:, 3] < 0, np.bool_)


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
