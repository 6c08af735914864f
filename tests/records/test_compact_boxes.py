"""Reduced boxes give every metric and every draw as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from g2d_bench.metrics.detection import METRICS
from g2d_bench.records.compact_boxes import reduce_boxes
from g2d_bench.records.draws import draw

Arrays = dict[str, np.ndarray[Any, Any]]


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
    after = reduce_boxes(before)
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
    after = reduce_boxes(missed)
    assert (after["box_score"] >= 0.5).all()
    none = {name: array[:0] if name.startswith("box") else array for name, array in arrays.items()}
    assert len(reduce_boxes(none)["box"]) == 0
    for spec in METRICS.values():
        assert spec(after) == pytest.approx(spec(missed), abs=1e-12, nan_ok=True)


def test_most_of_the_bytes_go(tmp_path: Any) -> None:
    sizes = []
    before = detections(1, images=300, per_image=60)
    for arrays in (before, reduce_boxes(before)):
        np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, **arrays)
        sizes.append((tmp_path / "x.npz").stat().st_size)
    assert sizes[1] < sizes[0] / 4
