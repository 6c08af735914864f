"""Reduced boxes give every metric and every draw as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from g2d_bench.metrics import chestxdet, detection
from g2d_bench.records.compact_boxes import reduce_boxes
from g2d_bench.records.draws import draw

Arrays = dict[str, np.ndarray[Any, Any]]
METRICS = detection.METRICS
ALL = METRICS | chestxdet.METRICS


def detections(
    seed: int, *, images: int = 40, labels: int = 2, per_image: int = 30, ties: bool = False
) -> Arrays:
    """Make truths, some boxes near them, and many that hit nothing."""
    rng = np.random.default_rng(seed)
    true_image = np.sort(rng.integers(0, images // 2, images))
    true_box = np.concatenate([rng.uniform(0, 150, (images, 2)), rng.uniform(20, 60, (images, 2))], axis=1)
    near = np.repeat(np.arange(images), 3)
    loose = images * per_image
    box = np.concatenate(
        [
            true_box[near] + rng.normal(0, 6, (len(near), 4)),
            np.concatenate([rng.uniform(0, 200, (loose, 2)), rng.uniform(5, 60, (loose, 2))], axis=1),
        ]
    )
    true_label = rng.integers(0, labels, images)
    score = np.concatenate([rng.beta(3, 3, len(near)), rng.beta(1, 6, loose)]).astype(np.float32)
    return {
        "id": np.arange(images).astype(str),
        "patient": (np.arange(images) // 2).astype(str),
        "box_image": np.concatenate([true_image[near], rng.integers(0, images, loose)]),
        "box_label": np.concatenate([true_label[near], rng.integers(0, labels + 1, loose)]),
        "box_score": np.round(score, 1) if ties else score,
        "box": np.maximum(box, 1.0),
        "true_image": true_image,
        "true_label": true_label,
        "true_box": true_box,
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_and_draws_stay(seed: int, ties: bool) -> None:
    before = detections(seed, ties=ties)
    after = reduce_boxes(before, METRICS)
    assert len(after["box"]) < len(before["box"])
    for name, spec in METRICS.items():
        assert spec(after) == pytest.approx(spec(before), abs=1e-12), name
        first, second = draw(name, before, 60), draw(name, after, 60)
        assert first is not None
        assert second is not None
        assert np.allclose(first, second, atol=1e-6, equal_nan=True), name


def test_no_hit_and_no_box() -> None:
    arrays = detections(0)
    missed = arrays | {"box": arrays["box"] + 1000.0}
    after = reduce_boxes(missed, METRICS)
    assert (after["box_score"] >= 0.5).all()
    none = {name: array[:0] if name.startswith("box") else array for name, array in arrays.items()}
    assert len(reduce_boxes(none, METRICS)["box"]) == 0
    for spec in METRICS.values():
        assert spec(after) == pytest.approx(spec(missed), abs=1e-12, nan_ok=True)


def test_most_of_the_bytes_go(tmp_path: Any) -> None:
    sizes = []
    before = detections(1, images=300, per_image=60)
    for arrays in (before, reduce_boxes(before, METRICS)):
        np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, **arrays)
        sizes.append((tmp_path / "x.npz").stat().st_size)
    assert sizes[1] < sizes[0] / 4


def crowded(seed: int) -> Arrays:
    """Make a few truths, some tiny or at the edge, and boxes of every kind on a grid of few scores."""
    rng = np.random.default_rng(seed)
    images, truths, loose = int(rng.integers(10, 30)), int(rng.integers(1, 12)), int(rng.integers(0, 120))
    corner = rng.integers(0, int(rng.choice([3, 30])), (truths, 2))
    true_box = np.concatenate([corner, rng.integers(0, 20, (truths, 2))], axis=1).astype(float)
    true_image, true_label = rng.integers(0, images, truths), rng.integers(0, 2, truths)
    near = np.repeat(np.arange(truths), 3)
    box = np.concatenate(
        [true_box[near] + rng.integers(-2, 3, (len(near), 4)), rng.uniform(0, 50, (loose, 4))]
    )
    count = len(box)
    # What is found is often found last, so that what comes behind it decides.
    score = np.round(np.where(np.arange(count) < len(near), rng.beta(1, 3, count), rng.beta(2, 3, count)), 2)
    shuffled = rng.permutation(count)
    return {
        "id": np.arange(images).astype(str),
        "patient": (np.arange(images) // int(rng.integers(1, 3))).astype(str),
        "box_image": np.concatenate([true_image[near], rng.integers(0, images, loose)])[shuffled],
        "box_label": np.concatenate([true_label[near], rng.integers(0, 3, loose)])[shuffled],
        "box_score": score.astype(np.float32)[shuffled],
        "box": box[shuffled],
        "true_image": true_image,
        "true_label": true_label,
        "true_box": true_box,
    }


@pytest.mark.parametrize("seed", range(300))
def test_recalls_at_few_false_positives_stay_where_they_are_asked_for(seed: int) -> None:
    before = crowded(seed)
    after = reduce_boxes(before, ["recall_few_fp"])
    again = reduce_boxes(after, ["recall_few_fp"])
    assert all(np.array_equal(after[name], again[name]) for name in after)
    for name, spec in ALL.items():
        assert spec(after) == pytest.approx(spec(before), abs=1e-12, nan_ok=True), name
        first, second = draw(name, before, 40), draw(name, after, 40)
        assert (first is None) == (second is None)
        assert first is None or second is None or np.array_equal(first, second, equal_nan=True), name


def test_what_lies_behind_the_last_hit_is_kept_for_recalls_alone() -> None:
    far, near = [500.0, 500.0, 40.0, 40.0], [100.0, 100.0, 50.0, 50.0]
    before = {
        "id": np.arange(60),
        "patient": np.arange(60).astype(str),
        "box_image": np.array([0, 1, 2, *range(3, 53), *range(3, 53)]),
        "box_label": np.zeros(103, int),
        "box_score": np.array([0.4, 0.2, 0.3, *[0.1] * 100], np.float32),
        "box": np.array([near, near, far] + [far] * 100),
        "true_image": np.arange(2),
        "true_label": np.zeros(2, int),
        "true_box": np.array([near, near]),
    }
    # One false positive before the second hit is less than a twentieth of 60 images; those behind it are not.
    assert chestxdet.METRICS["recall_005fp"](before) == 1
    kept = reduce_boxes(before, ["recall_005fp"])
    assert chestxdet.METRICS["recall_005fp"](kept) == 1
    assert len(kept["box"]) == 53
    assert len(reduce_boxes(before, ["ap_50"])["box"]) == 3
