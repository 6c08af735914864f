"""Scores in single precision give every metric and every draw as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.metrics.classification import METRICS
from g2d_bench.records.compact_scores import reduce_scores
from g2d_bench.records.draws import draw

Arrays = dict[str, np.ndarray[Any, Any]]


def classified(
    seed: int, *, close: bool = False, exclusive: bool = False, images: int = 300, labels: int = 3
) -> Arrays:
    """Make scores, some of them tied, some nearer to each other than single precision can tell."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1, 6, (images, labels))
    # Tied within a label, never across labels and never on the edge of a bin.
    scores[:80] = 0.013 * np.ceil(scores[:80] / 0.013) + 0.0011 * np.arange(1, labels + 1)
    if close:
        scores[100:140] = scores[40:80] * (1 + 1e-12)
        scores[140:145, 0] = 1 - rng.uniform(0, 1e-9, 5)
        scores[160, 0] = 1.0
    targets = (rng.random((images, labels)) < scores * 2).astype(np.float64)
    if exclusive:
        targets = np.eye(labels)[targets.argmax(1)]
    return {
        "id": np.arange(images).astype(str),
        "patient": (np.arange(images) // 2).astype(str),
        "scores": scores,
        "targets": targets,
        "label": np.array([f"l{n}" for n in range(labels)]),
        "thresholds": rng.uniform(0.05, 0.4, labels),
    }


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_metrics_and_draws_stay(seed: int, close: bool, exclusive: bool) -> None:
    before = classified(seed, close=close, exclusive=exclusive)
    after = reduce_scores(before)
    assert after["scores"].dtype == np.float32
    assert np.allclose(after["scores"], before["scores"], rtol=1e-5, atol=0)
    for column in range(3):
        ranks = [np.unique(a["scores"][:, column], return_inverse=True)[1] for a in (before, after)]
        assert (ranks[0] == ranks[1]).all()
    compared = 0
    for name, spec in METRICS.items():
        try:
            spec(before)
        except InputError:
            assert not exclusive, name  # A metric of classes that exclude each other.
            continue
        assert spec(after) == pytest.approx(spec(before), abs=1e-6, nan_ok=True), name
        first, second = draw(name, before, 40), draw(name, after, 40)
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            compared += 1
            assert np.allclose(first, second, atol=1e-6, equal_nan=True), name
    assert compared > 4


def test_scores_that_crowd_where_single_precision_is_coarse_stay() -> None:
    """Moved apart, 150 of them would go 9e-6 down, and the calibration error with them."""
    before = classified(0)
    before["scores"][:150, 1] = 1 - np.random.default_rng(1).permutation(np.arange(1, 151)) * 1e-11
    after = reduce_scores(before)
    assert after["scores"] is before["scores"]


def test_a_decision_that_rounding_would_change_keeps_the_scores() -> None:
    arrays = classified(0)
    value = float(np.float32(arrays["scores"][50, 0]))
    on_edge = value - 1e-12 if np.float32(value - 1e-12) == np.float32(value) else value + 1e-12
    arrays["scores"][50, 0] = on_edge
    arrays["thresholds"][0] = (on_edge + value) / 2
    assert reduce_scores(arrays)["scores"] is arrays["scores"]
    close = classified(1, labels=2)
    close["scores"][7] = [0.1 + 1e-12, 0.1 + 2e-12]  # Which class wins is in the last bits.
    reduced = reduce_scores(close)["scores"]
    assert reduced.dtype == np.float64 or reduced[7, 1] > reduced[7, 0]


def test_no_image() -> None:
    arrays = {"scores": np.empty((0, 2)), "thresholds": np.zeros(2)}
    assert len(reduce_scores(arrays)["scores"]) == 0
