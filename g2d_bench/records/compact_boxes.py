"""Predicted boxes reduced to what every detection metric needs of them.

A detector leaves up to a hundred boxes per image, nearly all of which hit nothing. Of those only the image
and the place among the hits matter, for the metrics as for their bootstrap: precision is read at hits, and
the share of found objects changes at hits only. Recall at few false positives, as ChestX-Det10's own
evaluation reads it, matches by other rules, and also asks on which images anything comes behind the last hit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics import chestxdet
from g2d_bench.metrics.boxes import Detections, match, without_area
from g2d_bench.metrics.detection import LEGACY_CONFIDENCE

IOUS = tuple(float(iou) for iou in np.round(np.arange(0.40, 0.951, 0.05), 2))
"""All overlaps that any metric asks for."""


def reduce_boxes(
    predictions: Mapping[str, NDArray[Any]], metrics: Collection[str]
) -> dict[str, NDArray[Any]]:
    """Drop or round what the metrics of a record cannot tell apart.

    Boxes that hit at any overlap stay as they are. Of the others those below the last hit of their label
    (and below the confidence at which published code cuts) go; the rest lose their coordinates, and their
    scores keep only the two hits between which they lie. Boxes of negative area, which count neither way,
    keep theirs. Where a metric of :mod:`g2d_bench.metrics.chestxdet` is asked for, its hits are hits, too,
    and of the boxes below the last hit of a label one stays per image.

    Args:
        predictions: as :meth:`g2d_bench.metrics.detection.Detections.read` takes them.
        metrics: names of the record's metrics. Other detection metrics stay, too, but for those of
            :mod:`g2d_bench.metrics.chestxdet`, which stay where one of them is named.

    Returns:
        The same arrays, shorter; boxes in the order of images and scores.
    """
    boxes = Detections.read(predictions)
    few = not chestxdet.METRICS.keys().isdisjoint(metrics)
    hit = _hits(boxes)
    if few:
        for curve in chestxdet.curves(boxes):
            hit[curve.place] |= curve.hit
    whole = hit | without_area(boxes.box)
    score, keep = boxes.score.copy(), hit | (boxes.score >= LEGACY_CONFIDENCE)
    for label in np.unique(boxes.label):
        mine = boxes.label == label
        hits = np.unique(boxes.score[mine & hit])
        if len(hits):
            keep |= mine & (boxes.score >= hits[0])
            if few:
                keep[_strongest(boxes, mine & ~whole & (boxes.score < hits[0]))] = True
        anchors = np.unique(np.append(boxes.score[mine & whole & keep], LEGACY_CONFIDENCE))
        loose = np.flatnonzero(mine & ~whole & ~np.isin(boxes.score, anchors))
        score[loose] = _between(boxes.score[loose], anchors)
    box = np.where(whole[:, None], boxes.box, _nowhere(boxes) if few else 0.0)
    rows = np.flatnonzero(keep)
    # Equal scores stay in the order in which they were: it decides which of them comes first.
    rows = rows[np.lexsort((-score[rows], boxes.image[rows]))]
    return {
        **predictions,
        "box_image": boxes.image[rows],
        "box_label": boxes.label[rows],
        "box_score": score[rows],
        "box": box[rows],
    }


def _strongest(boxes: Detections, some: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of the strongest of some boxes on each image that has one."""
    places = np.flatnonzero(some)
    places = places[np.argsort(-boxes.score[places], kind="stable")]
    _, first = np.unique(boxes.image[places], return_index=True)
    return places[first]


def _nowhere(boxes: Detections) -> NDArray[np.float64]:
    """Return a box that no truth overlaps, even where its last pixel counts, too: at the origin if it can."""
    corners = boxes.true_box[:, :2]
    covered = bool((corners < 1).all(axis=1).any())
    return np.array([np.floor(corners.min()) - 2 if covered else 0.0] * 2 + [0.0, 0.0])


def _hits(boxes: Detections) -> NDArray[np.bool_]:
    """Say which boxes hit a truth at any overlap, [P]."""
    order = np.argsort(-boxes.score, kind="stable")
    place = np.empty(len(order))
    # Places instead of scores: the same order, and each box can be told again.
    place[order] = np.arange(len(order))
    matches = match(replace(boxes, score=-place), IOUS)
    hit = np.zeros(len(order), np.bool_)
    for places, hits in zip(matches.score, matches.hit, strict=True):
        hit[order[(-places).astype(np.int64)]] |= hits.any(axis=0)
    return hit


def _between(scores: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one score per gap between anchors; where single precision has no room, the score as it is."""
    edges = np.concatenate([[anchors[0] - 1], anchors, [max(1.0, anchors[-1]) + 1]])
    gap = np.searchsorted(edges, scores)
    middle = ((edges[gap - 1] + edges[gap]) / 2).astype(np.float32).astype(np.float64)
    inside = (middle > edges[gap - 1]) & (middle < edges[gap])
    return np.where(inside, middle, scores)
