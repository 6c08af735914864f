"""Scores of single cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from g2d_bench.records.cases import extremes, overlaps, scored, strongest, told_boxes


def test_segmentations_are_scored_by_dice_where_there_is_a_finding() -> None:
    found = scored(
        "segmentation",
        "dice_positive",
        {"intersection": np.array([5, 0, 0]), "predicted": np.array([5, 0, 9]), "true": np.array([15, 8, 0])},
    )
    assert found is not None
    assert found.values[:2].tolist() == [0.5, 0.0]
    assert np.isnan(found.values[2])
    assert found.show(0) == "50 %"


def test_boxes_are_scored_by_their_best_overlap() -> None:
    predictions = {
        "id": np.array(["a", "b", "c"]),
        "true_image": np.array([0, 0, 1]),
        "true_box": np.array([[0, 0, 10, 10], [50, 50, 10, 10], [0, 0, 4, 4]]),
        "box_image": np.array([0, 0]),
        "box_score": np.array([0.2, 0.9]),
        "box": np.array([[0, 0, 10, 5], [200, 200, 10, 10]]),
    }
    found = scored("detection", "ap_coco", predictions)
    assert found is not None
    assert found.values[:2].tolist() == [0.25, 0.0]
    assert np.isnan(found.values[2])
    assert strongest(predictions, 0, 1).tolist() == [[200, 200, 10, 10]]
    assert overlaps(np.array([[0.0, 0, 0, 0]]), np.array([[0.0, 0, 0, 0]])).tolist() == [[0.0]]


def test_the_boxes_shown_are_the_strongest_and_those_that_overlap_most() -> None:
    predictions = {
        "true_image": np.array([0, 2]),
        "true_box": np.array([[0, 0, 10, 10], [0, 0, 4, 4]]),
        "box_image": np.array([0, 0, 0, 1]),
        "box_score": np.array([0.9, 0.8, 0.7, 0.6]),
        "box": np.array([[200, 200, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5], [1, 1, 2, 2]]),
    }
    assert told_boxes(predictions, 0).tolist() == [[0, 0, 10, 9], [200, 200, 10, 10]]
    assert told_boxes(predictions, 1).tolist() == [[1, 1, 2, 2]]
    assert told_boxes(predictions, 2).tolist() == []
    # A compact record keeps no place of a box that hits nothing.
    predictions["box"][0] = 0
    assert told_boxes(predictions, 0).tolist() == [[0, 0, 10, 9]]


def test_the_mean_over_cases_of_one_side_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    targets = np.array([1, 0] * 20)[:, None]
    scores = rng.normal(size=(40, 1)).round(1) + targets
    found = scored("classification", "auroc", {"scores": scores, "targets": targets})
    assert found is not None
    for side in (0, 1):
        mean = found.values[targets[:, 0] == side].mean()
        assert mean == pytest.approx(roc_auc_score(targets[:, 0], scores[:, 0]))


def test_labels_without_two_sides_say_nothing() -> None:
    found = scored(
        "zero-shot", "auroc", {"scores": np.array([[0.1], [0.3]]), "targets": np.array([[1], [1]])}
    )
    assert found is not None
    assert np.isnan(found.values).all()
    assert extremes(found.values) == {}


def test_what_cannot_be_scored_is_none() -> None:
    assert scored("segmentation", "dice_positive", {"id": np.array(["a"])}) is None
    assert scored("somebody's own", "nobody_knows", {"id": np.array(["a"])}) is None


def test_few_cases_are_not_shown_twice() -> None:
    assert extremes(np.array([0.3])) == {"best": 0}
    assert extremes(np.array([0.3, 0.9])) == {"best": 1, "median": 0}
