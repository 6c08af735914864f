"""Boxes and which of them hit."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.metrics.boxes import Detections, match, pair_iou, without_area


def test_overlap_against_a_literal_loop() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 12, (60, 4)).astype(float)
    second = rng.integers(0, 12, (60, 4)).astype(float)
    for a, b, value in zip(first, second, pair_iou(first, second), strict=True):
        cells = {
            (x, y) for x in range(int(a[0]), int(a[0] + a[2])) for y in range(int(a[1]), int(a[1] + a[3]))
        }
        other = {
            (x, y) for x in range(int(b[0]), int(b[0] + b[2])) for y in range(int(b[1]), int(b[1] + b[3]))
        }
        expected = len(cells & other) / len(cells | other) if cells | other else 0.0
        assert value == pytest.approx(expected, abs=1e-12)


def detections(boxes: list[list[float]], scores: list[float], truths: list[list[float]]) -> Detections:
    """One image, one label."""
    return Detections(
        1,
        np.zeros(len(boxes), np.int64),
        np.zeros(len(boxes), np.int64),
        np.array(scores, float),
        np.array(boxes, float).reshape(-1, 4),
        np.zeros(len(truths), np.int64),
        np.zeros(len(truths), np.int64),
        np.array(truths, float).reshape(-1, 4),
    )


def test_the_strongest_box_takes_the_truth_and_a_second_one_is_wrong() -> None:
    box = [0.0, 0, 10, 10]
    matches = match(detections([box, box], [0.2, 0.9], [box]), [0.5, 1.0])
    assert matches.score[0].tolist() == [0.9, 0.2]
    assert matches.hit[0].tolist() == [[True, False], [True, False]]


def test_of_two_equal_truths_the_last_is_taken() -> None:
    # Each box overlaps both truths alike; the second box, which fits only the first truth well, still hits.
    matches = match(
        detections([[5.0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], [[0.0, 0, 10, 10], [10, 0, 10, 10]]),
        [0.3],
    )
    assert matches.hit[0].tolist() == [[True, True]]


def test_only_so_many_boxes_of_an_image_count() -> None:
    box, far = [0.0, 0, 4, 4], [50.0, 50, 4, 4]
    given = detections([far] * 3 + [box], [0.9, 0.8, 0.7, 0.1], [box])
    assert match(given, [0.5], max_boxes=3).hit[0].tolist() == [[False] * 3]
    assert match(given, [0.5], max_boxes=4).hit[0].tolist() == [[False] * 3 + [True]]


def test_negative_areas_are_neither_right_nor_wrong() -> None:
    assert without_area(np.array([[0.0, 0, -1, 2], [0, 0, 0, 2], [0, 0, -1, -2]])).tolist() == [
        True,
        False,
        False,
    ]
    box = [0.0, 0, 4, 4]
    matches = match(detections([box, [0.0, 0, -4, 4]], [0.1, 0.9], [box, [9.0, 9, -1, 1]]), [0.5])
    assert matches.score[0].tolist() == [0.1]
    assert len(matches.true_image[0]) == 1


def test_stored_boxes_are_read_and_truths_without_area_go() -> None:
    stored = {
        "id": np.array(["a", "b"]),
        "box_image": np.array([1], np.int32),
        "box_label": np.array([0], np.int16),
        "box_score": np.array([0.5], np.float32),
        "box": np.array([1, 2, 3, 4], np.float32),
        "true_image": np.array([0, 1], np.int32),
        "true_label": np.array([0, 0], np.int16),
        "true_box": np.array([[0, 0, 5, -1], [0, 0, 5, 1]], np.float32),
    }
    boxes = Detections.read(stored)
    assert boxes.images == 2
    assert boxes.box.tolist() == [[1, 2, 3, 4]]
    assert boxes.true_image.tolist() == [1]
    assert boxes.keep(np.array([False]), np.array([True])).box.shape == (0, 4)
