"""Predicted boxes reduced to what every detection metric needs of them.

A detector leaves up to a hundred boxes per image, nearly all of which hit nothing. Of those only the image
and the place among the hits matter, for the metrics as for their bootstrap: precision is read at hits, and
the share of found objects changes at hits only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.metrics.boxes import Detections, match
from g2d_bench.metrics.detection import LEGACY_CONFIDENCE

IOUS = tuple(float(iou) for iou in np.round(np.arange(0.40, 0.951, 0.05), 2))
"""All overlaps that any metric asks for."""


def reduce_boxes(predictions: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Drop or round what no metric can tell apart.

    Boxes that hit at any overlap stay as they are. Of the others those below the last hit of their label
    (and below the confidence at which published code cuts) go; the rest lose their coordinates, and their
    scores keep only the two hits between which they lie.

    Args:
        predictions: as :meth:`g2d_bench.metrics.detection.Detections.read` takes them.

    Returns:
        The same arrays, shorter; boxes in the order of images and scores.
    """
    boxes = Detections.read(predictions)
    hit = _hits(boxes)
    score, keep = boxes.score.copy(), hit | (boxes.score >= LEGACY_CONFIDENCE)
    for label in np.unique(boxes.label):
        mine = boxes.label == label
        hits = np.unique(boxes.score[mine & hit])
        if len(hits):
            keep |= mine & (boxes.score >= hits[0])
        anchors = np.unique(np.append(hits, LEGACY_CONFIDENCE))
        loose = np.flatnonzero(mine & ~hit & ~np.isin(boxes.score, anchors))
        score[loose] = _between(boxes.score[loose], anchors)
    box = np.where(hit[:, None], boxes.box, 0.0)
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
