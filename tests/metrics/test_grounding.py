from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g2d_bench.errors import InputError
from g2d_bench.metrics.grounding import (
    FEW,
    METRICS,
    THRESHOLDS,
    _above,
    below_all,
    choose_map_threshold,
    min_max,
    read_map,
    read_maps,
    union_mask,
)
from g2d_bench.metrics.registry import measure

Array = npt.NDArray[Any]
PER_IMAGE = tuple(name for name in METRICS if not name.endswith("by_category"))


def _reference(heat: Array, truth: Array, threshold: float) -> dict[str, float]:
    """Every metric of one map by loops over pixels, in Python floats."""
    pixels = [(float(h), bool(t)) for h, t in zip(heat.ravel(), truth.ravel(), strict=True)]
    seen = [(h, t) for h, t in pixels if not math.isnan(h)]
    low, high = min(h for h, _ in seen), max(h for h, _ in seen)

    def overlap(values: list[tuple[float, bool]], cut: float) -> tuple[int, int, int]:
        common = sum(1 for h, t in values if h > cut and t)
        return common, sum(1 for h, _ in values if h > cut), sum(1 for _, t in values if t)

    def iou(values: list[tuple[float, bool]], cut: float) -> float:
        common, predicted, true = overlap(values, cut)
        return common / (predicted + true - common)

    stretched = [(2 * (h - low) / (high - low) - 1 if high > low else -1.0, t) for h, t in pixels]
    inside, outside = [h for h, t in seen if t], [h for h, t in seen if not t]
    signed = math.nan
    if inside and outside:
        means = [sum(part) / len(part) for part in (inside, outside)]
        spread = [
            sum((h - m) ** 2 for h in part) / len(part)
            for part, m in zip((inside, outside), means, strict=True)
        ]
        if sum(spread) > 1e-20:
            signed = (means[0] - means[1]) / math.sqrt(sum(spread))
        elif means[0] == means[1]:
            signed = 0.0
    top = [t for h, t in seen if h == high]
    found = {
        "cnr": abs(signed),
        "cnr_signed": signed,
        "miou_cosine": sum(iou(pixels, t) for t in THRESHOLDS) / len(THRESHOLDS),
        "miou_minmax": sum(iou(stretched, t) for t in THRESHOLDS) / len(THRESHOLDS),
        "pointing": sum(top) / len(top),
        "pointing_at_medklip": float(any(top)),
    }
    for name, cut in (("validation", threshold), ("medklip", 0.008)):
        common, predicted, true = overlap(pixels, cut)
        found[f"iou_at_{name}"] = common / (predicted + true - common)
        found[f"dice_at_{name}"] = 2 * common / (predicted + true)
        found[f"recall_at_{name}"] = common / true
    return found


def _of(heat: Array, truth: Array, threshold: float = 0.0) -> dict[str, float]:
    stored = {"id": np.arange(1), **read_maps([(heat, truth)], threshold=threshold)}
    return measure(stored, PER_IMAGE)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.sampled_from([np.float32, np.float64]))
def test_equals_loops(seed: int, unseen: float, kind: Any) -> None:
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(2, 9, 2))
    heat = generator.normal(0.2, 0.3, shape).astype(kind)
    heat[generator.random(shape) < unseen] = np.nan
    heat[0, 0], heat[-1, -1] = 0.5, -0.25
    truth = generator.random(shape) < 0.4
    truth[0, 0], truth[-1, -1] = True, False
    found = _of(heat, truth, 0.15)
    for name, wanted in _reference(heat, truth, 0.15).items():
        assert found[name] == pytest.approx(wanted, abs=1e-9, nan_ok=True), name


def test_mean_over_images_leaves_out_those_without_region() -> None:
    generator = np.random.default_rng(2)
    maps = [generator.random((6, 6)) for _ in range(5)]
    truths = [generator.random((6, 6)) < 0.5 for _ in range(5)]
    truths[3][:] = False
    stored = {"id": np.arange(5), **read_maps(zip(maps, truths, strict=True), threshold=0.5)}
    found = measure(stored, PER_IMAGE)
    each = [_reference(h, t, 0.5) for h, t in zip(maps, truths, strict=True) if t.any()]
    for name in PER_IMAGE:
        assert found[name] == pytest.approx(np.mean([row[name] for row in each])), name
    assert METRICS["pointing"].resamples


def test_the_two_mean_overlaps_differ() -> None:
    """A map of small cosines with the right shape: one convention says nothing is found, the other all."""
    truth = np.zeros((8, 8), np.bool_)
    truth[2:5, 2:5] = True
    found = _of(np.where(truth, 0.09, 0.01), truth)
    assert found["miou_cosine"] == 0
    assert found["miou_minmax"] == 1


def test_constant_map_has_no_contrast() -> None:
    truth = np.zeros((5, 7), np.bool_)
    truth[1:3] = True
    found = _of(np.full((5, 7), 0.1), truth)
    assert found["cnr"] == found["cnr_signed"] == 0
    assert found["miou_minmax"] == found["miou_cosine"] == 0
    assert found["pointing"] == pytest.approx(truth.mean())


def test_two_exact_levels_have_no_ratio() -> None:
    truth = np.zeros((9, 9), np.bool_)
    truth[:3] = True
    assert math.isnan(_of(np.where(truth, 0.7, 0.1), truth)["cnr"])


def test_signed_contrast_of_an_inverted_map() -> None:
    generator = np.random.default_rng(0)
    truth = np.zeros((9, 9), np.bool_)
    truth[:3] = True
    heat = truth + generator.normal(0, 0.1, (9, 9))
    right, wrong = _of(heat, truth), _of(-heat, truth)
    assert wrong["cnr"] == pytest.approx(right["cnr"])
    assert wrong["cnr_signed"] == pytest.approx(-right["cnr_signed"])
    assert right["cnr"] == pytest.approx(_of(40 * heat - 7, truth)["cnr"])  # affine-invariant


def test_map_outside_the_crop_misses_but_does_not_disturb() -> None:
    truth = np.ones((4, 4), np.bool_)
    truth[2:] = False
    heat = np.where(truth, 0.9, -0.9)
    heat[0] = np.nan
    found = _of(heat, truth)
    assert found["recall_at_validation"] == found["iou_at_validation"] == 0.5
    assert found["pointing"] == 1
    nowhere = _of(np.full((4, 4), np.nan), truth)
    assert nowhere["miou_cosine"] == nowhere["miou_minmax"] == 0
    assert math.isnan(nowhere["cnr"])
    assert math.isnan(nowhere["pointing"])


def test_no_region_no_number() -> None:
    found = _of(np.random.default_rng(0).random((4, 4)), np.zeros((4, 4), np.bool_))
    assert all(math.isnan(value) for value in found.values())
    full = _of(np.random.default_rng(0).uniform(0.01, 1, (4, 4)), np.ones((4, 4), np.bool_))
    assert math.isnan(full["cnr"])
    assert full["recall_at_medklip"] == 1


def test_threshold_from_validation_is_the_best_of_those_tried() -> None:
    generator = np.random.default_rng(3)
    truths = [generator.random((10, 10)) < 0.3 for _ in range(6)]
    truths[2][:] = False
    maps = [t * 0.5 + generator.normal(0, 0.3, t.shape) for t in truths]
    maps[4][0] = np.nan
    chosen = choose_map_threshold(list(zip(maps, truths, strict=True)))

    def mean_dice(cut: float) -> float:
        pairs = [(h, t) for h, t in zip(maps, truths, strict=True) if t.any()]
        return float(np.mean([2 * ((h > cut) & t).sum() / ((h > cut).sum() + t.sum()) for h, t in pairs]))

    counted = [h for h, t in zip(maps, truths, strict=True) if t.any()]
    tried = np.linspace(min(np.nanmin(h) for h in counted), max(np.nanmax(h) for h in counted), 200, False)
    assert mean_dice(chosen) == pytest.approx(max(mean_dice(cut) for cut in tried))


@pytest.mark.parametrize(
    "pairs", [[], [(np.ones((2, 2)), np.ones((2, 2), np.bool_))], [(np.eye(2), np.eye(2) > 1)]]
)
def test_no_threshold_from_useless_validation(pairs: list[Any]) -> None:
    threshold = choose_map_threshold(pairs)
    assert math.isnan(threshold)
    found = _of(np.eye(2), np.eye(2) > 0, threshold)
    assert math.isnan(found["dice_at_validation"])
    assert found["dice_at_medklip"] == 1


def test_mean_over_categories() -> None:
    truth = np.zeros((4, 4), np.bool_)
    truth[:2] = True
    generator = np.random.default_rng(1)
    maps = [generator.random((4, 4)) + k * truth for k in range(5)]
    stored = {
        "id": np.arange(5),
        "category": np.array(["a", "b", "a", "a", "b"]),
        **read_maps([(heat, truth) for heat in maps], threshold=0.0),
    }
    cnr = np.array([_reference(heat, truth, 0.0)["cnr"] for heat in maps])
    wanted = (cnr[[0, 2, 3]].mean() + cnr[[1, 4]].mean()) / 2
    assert METRICS["cnr_by_category"](stored) == pytest.approx(wanted)
    weights = np.array([[1.0, 0, 2, 0, 1], [1, 0, 1, 1, 0]])
    drawn = METRICS["cnr_by_category"].statistic(stored)(weights)
    assert drawn[0] == pytest.approx(((cnr[0] + 2 * cnr[2]) / 3 + cnr[4]) / 2)
    assert math.isnan(drawn[1])  # category b was not drawn: a mean over the rest is another metric


def test_boxes_become_one_region() -> None:
    mask = union_mask([(1, 1, 3, 2), (2, 2, 2, 2), (-5, 4, 6.4, 9)], (6, 7))
    wanted = np.zeros((6, 7), np.bool_)
    wanted[1:3, 1:4] = True
    wanted[2:4, 2:4] = True
    wanted[4:, :1] = True
    assert (mask == wanted).all()
    # A pixel belongs to a box that covers its centre, so neighbours share no pixel and lose none.
    left, right = union_mask([(0, 0, 2.5, 3)], (3, 5)), union_mask([(2.5, 0, 2.5, 3)], (3, 5))
    assert (left ^ right).all()
    assert not union_mask([], (2, 2)).any()
    assert not union_mask([(-9, -9, 3, 3)], (2, 2)).any()


def test_stretch_spans_the_range() -> None:
    stretched = min_max(np.array([[0.2, np.nan], [0.3, 0.4]]))
    assert np.nanmin(stretched) == -1
    assert np.nanmax(stretched) == 1
    assert stretched[1, 0] == pytest.approx(0)


@pytest.mark.parametrize(
    ("heat", "truth", "says"),
    [
        (np.ones((2, 3)), np.ones((3, 2), np.bool_), "heat map: map of shape"),
        (np.ones(4), np.ones(4, np.bool_), "heat map: map of shape"),
        (np.full((2, 2), np.inf), np.ones((2, 2), np.bool_), "heat map: a value is infinite"),
    ],
)
def test_wrong_maps_are_named(heat: Array, truth: Array, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        read_map(heat, truth, threshold=0.5)


def test_no_maps_at_all() -> None:
    with pytest.raises(InputError, match="no maps"):
        read_maps([], threshold=0.5)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_above_thresholds_are_those_of_a_plain_loop(count: int, dtype: type) -> None:
    rng = np.random.default_rng(count)
    # Many values lie on a threshold exactly, or as near as single precision gets.
    cuts = np.sort(np.append(rng.normal(size=count - 1), 0.1))
    values: npt.NDArray[Any] = np.append(rng.choice(cuts, 60), rng.normal(size=40)).astype(dtype)
    values = values.reshape(10, 10)
    values[2, :4] = np.nan
    expected = [sum(float(value) > float(cut) for value in values.ravel()) for cut in cuts]
    assert _above(values, cuts.tolist()).tolist() == expected
    assert _above(np.full((2, 2), np.nan, dtype), cuts).tolist() == [0] * count
    assert _above(np.empty((0,), dtype), cuts).tolist() == [0] * count


def test_maps_below_all_thresholds_say_so() -> None:
    low, high = np.full((4, 4), 0.09), np.full((4, 4), 0.11)
    truth = np.eye(4, dtype=bool)
    assert "reaches 0.1" in below_all(read_maps([(low, truth), (-high, truth)], threshold=0.0))
    assert below_all(read_maps([(low, truth), (high, truth)], threshold=0.0)) == ""
