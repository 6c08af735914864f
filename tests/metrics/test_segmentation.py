from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.segmentation import (
    METRICS,
    PER_IMAGE,
    all_empty,
    batch_numbers,
    counts,
    per_sample,
    segmentation_metrics,
)

NAMES = tuple(METRICS)


def _reference(predicted: npt.NDArray[Any], true: npt.NDArray[Any], batch: int) -> dict[str, float]:
    """Literal loops over images and pixels, in Python floats."""
    positive, iou, empty, legacy = [], [], [], []
    pooled_common = pooled_both = 0
    for p, t in zip(predicted, true, strict=True):
        common = p_sum = t_sum = 0
        for a, b in zip(p.ravel().tolist(), t.ravel().tolist(), strict=True):
            common += a and b
            p_sum += a
            t_sum += b
        pooled_common += common
        pooled_both += p_sum + t_sum
        if t_sum:
            positive.append(2 * common / (p_sum + t_sum))
            iou.append(common / (p_sum + t_sum - common))
            legacy.append(2 * common / (p_sum + t_sum))
        else:
            empty.append(float(p_sum == 0))
            legacy.append(float(p_sum == 0))

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else math.nan

    batches = [mean(legacy[n : n + batch]) for n in range(0, len(legacy), batch)]
    return {
        "dice_positive": mean(positive),
        "iou_positive": mean(iou),
        "specificity_empty": mean(empty),
        "dice_legacy": mean(legacy),
        "dice_legacy_batched": mean(batches),
        "dice_pooled": 2 * pooled_common / pooled_both if pooled_both else math.nan,
    }


def _packed(masks: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.packbits(masks.reshape(len(masks), -1), axis=1)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 7), st.sampled_from([0.0, 0.1, 0.6, 1.0]))
def test_equals_literal_loops(seed: int, images: int, side: int, density: float) -> None:
    generator = np.random.default_rng(seed)
    predicted = generator.random((images, side, side)) < density * generator.integers(0, 2, (images, 1, 1))
    true = generator.random((images, side, side)) < 0.5 * generator.integers(0, 2, (images, 1, 1))
    found = segmentation_metrics(*counts(_packed(predicted), _packed(true)), names=NAMES, batch=4)
    wanted = _reference(predicted, true, 4)
    for name in NAMES:
        assert found[name] == pytest.approx(wanted[name], nan_ok=True, abs=1e-12), name


def test_all_empty_scores_the_share_of_negatives() -> None:
    true = np.array([0, 5, 0, 0, 9])
    scores = all_empty(true, names=NAMES)
    assert scores["dice_legacy"] == pytest.approx(0.6)
    assert scores["specificity_empty"] == 1
    assert scores["dice_positive"] == scores["iou_positive"] == scores["dice_pooled"] == 0


def test_undefined_is_nan_not_zero_or_one() -> None:
    nothing = np.array([], dtype=np.int64)
    assert all(math.isnan(v) for v in segmentation_metrics(nothing, nothing, nothing, names=NAMES).values())
    negatives = np.array([0, 0])
    scores = all_empty(negatives, names=NAMES)
    assert math.isnan(scores["dice_positive"])
    assert math.isnan(scores["dice_pooled"])


def test_per_sample_values_average_to_the_metric() -> None:
    generator = np.random.default_rng(3)
    predicted, true = (generator.random((40, 8, 8)) < 0.2 for _ in range(2))
    true[:15] = False
    common, p, t = counts(_packed(predicted), _packed(true))
    stored = {"intersection": common, "predicted": p, "true": t}
    scores = segmentation_metrics(common, p, t, names=tuple(PER_IMAGE))
    for name, score in scores.items():
        assert np.nanmean(per_sample(name, stored)) == pytest.approx(score)


@pytest.mark.parametrize("name", [*PER_IMAGE, "dice_pooled"])
@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_whole_weights_equal_repeated_images(name: str, kind: Any) -> None:
    """Also where counts are stored in integers so small that their sums would overflow."""
    generator = np.random.default_rng(6)
    predicted, true = (generator.random((30, 16, 16)) < 0.7 for _ in range(2))
    true[:9], predicted[5:15] = False, False
    names = ("intersection", "predicted", "true")
    counted = dict(zip(names, counts(_packed(predicted), _packed(true)), strict=True))
    stored = {"id": np.arange(30), **{key: value.astype(kind) for key, value in counted.items()}}
    weights = generator.integers(0, 4, (5, 30))
    found = metric_spec(name).statistic(stored)(weights.astype(float))
    for value, row in zip(found, weights, strict=True):
        drawn = [np.repeat(counted[key], row) for key in names]
        assert value == pytest.approx(segmentation_metrics(*drawn, names=(name,))[name], abs=1e-12)


@pytest.mark.parametrize("size", [1, 4, 8, 16, 50])
def test_batch_means_stay_with_their_batches_when_resampled(size: int) -> None:
    generator = np.random.default_rng(9)
    true = generator.integers(0, 3, 43) * 10
    predicted = generator.integers(0, 3, 43) * 10
    common = np.minimum(true, predicted) // 2
    stored = {
        **{"id": np.arange(43), "intersection": common, "predicted": predicted, "true": true},
        "batch": batch_numbers(43, size),
    }
    weights = generator.integers(0, 2, (6, 43))
    weights[0] = 1
    weights[1, :20] = 0
    found = metric_spec("dice_legacy_batched").statistic(stored)(weights.astype(float))
    for value, row in zip(found, weights, strict=True):
        means = []
        for start in range(0, 43, size):
            dice = [
                2 * common[n] / (predicted[n] + true[n]) if true[n] else float(predicted[n] == 0)
                for n in range(start, min(start + size, 43))
                for _ in range(row[n])
            ]
            means += [sum(dice) / len(dice)] if dice else []
        assert value == pytest.approx(sum(means) / len(means), abs=1e-12)
