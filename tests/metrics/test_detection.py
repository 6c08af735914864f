from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from g2d_bench.metrics.boxes import Detections, match, pair_iou
from g2d_bench.metrics.detection import (
    IOUS_COCO,
    IOUS_MGCA,
    METRICS,
    average_precision,
    detection_metrics,
    published,
)

NAMES = tuple(METRICS)


def scene(
    seed: int, *, images: int = 30, labels: int = 1, truths: float = 1.5, boxes: float = 6.0, side: int = 40
) -> Detections:
    """Make boxes on a coarse grid, so that overlaps and scores often tie; some have no area."""
    rng = np.random.default_rng(seed)

    def draw(mean: float) -> tuple[Any, Any, Any]:
        image = np.repeat(np.arange(images), rng.poisson(mean, images))
        box = rng.integers(0, [side, side, side // 2, side // 2], (len(image), 4)).astype(float)
        return image, rng.integers(0, labels, len(image)), box

    true_image, true_label, true_box = draw(truths)
    image, label, box = draw(boxes)
    # Half of the boxes lie near a truth, or nothing would ever hit.
    for n in np.flatnonzero(rng.random(len(image)) < 0.5):
        mine = np.flatnonzero(true_image == image[n])
        if len(mine):
            pick = rng.choice(mine)
            box[n] = true_box[pick] + rng.integers(-2, 3, 4)
            label[n] = true_label[pick]
    box[:, 2:] = np.maximum(box[:, 2:], 0)
    order = rng.permutation(len(image))
    score = np.round(rng.random(len(image)) * 10) / 10
    return Detections(images, image[order], label[order], score, box[order], true_image, true_label, true_box)


def stored(boxes: Detections) -> dict[str, Any]:
    """The arrays that an adapter keeps."""
    return {
        "id": np.array([f"i{n}" for n in range(boxes.images)]),
        "box_image": boxes.image.astype(np.int32),
        "box_label": boxes.label.astype(np.int16),
        "box_score": boxes.score,
        "box": boxes.box,
        "true_image": boxes.true_image.astype(np.int32),
        "true_label": boxes.true_label.astype(np.int16),
        "true_box": boxes.true_box,
    }


def metrics(boxes: Detections, *, names: tuple[str, ...] = NAMES) -> dict[str, float]:
    return detection_metrics(stored(boxes), names=names)


def empty(boxes: Detections, *, truths: bool = False, found: bool = False) -> Detections:
    """Drop all true or all predicted boxes."""
    return boxes.keep(np.full(len(boxes.image), not found), np.full(len(boxes.true_image), not truths))


def pycoco(boxes: Detections, ious: Sequence[float]) -> Any:
    """Return the reference implementation's average precision, [T, K of labels with truth]."""
    categories = sorted({*boxes.true_label.tolist(), *boxes.label.tolist()})
    truth = {
        "info": {},
        "images": [{"id": n, "width": 100, "height": 100} for n in range(boxes.images)],
        "categories": [{"id": int(c)} for c in categories],
        "annotations": [
            {
                "id": n + 1,
                "image_id": int(boxes.true_image[n]),
                "category_id": int(boxes.true_label[n]),
                "bbox": boxes.true_box[n].tolist(),
                "area": float(boxes.true_box[n, 2] * boxes.true_box[n, 3]),
                "iscrowd": 0,
            }
            for n in range(len(boxes.true_image))
        ],
    }
    found = [
        {
            "image_id": int(boxes.image[n]),
            "category_id": int(boxes.label[n]),
            "bbox": boxes.box[n].tolist(),
            "score": float(boxes.score[n]),
        }
        for n in range(len(boxes.image))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluation.params.iouThrs = np.asarray(ious)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    values = np.where(precision[:, 0] > -1, precision.mean(axis=1), np.nan)
    return values[:, ~np.isnan(values[0])]


SCENES = {
    "one label": scene(0),
    "three labels": scene(1, labels=3, truths=4),
    "crowded, many ties": scene(2, images=8, truths=12, boxes=40, side=12),
    "more boxes than count": scene(3, images=3, truths=5, boxes=150, side=12),
    "one image": scene(4, images=1, truths=3, boxes=5),
    "label without truth": replace(
        scene(5, labels=2), true_label=np.zeros_like(scene(5, labels=2).true_label)
    ),
    "many images": scene(6, images=400, labels=2, boxes=12),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("ious", [IOUS_COCO, IOUS_MGCA], ids=["coco", "mgca"])
def test_equals_pycocotools(name: str, ious: Sequence[float]) -> None:
    boxes = SCENES[name]
    (ours,) = average_precision(match(boxes, ious))
    assert 0 < ours.mean() < 1
    np.testing.assert_allclose(ours, pycoco(boxes, ious), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_equals_pycocotools_on_random_scenes(seed: int) -> None:
    rng = np.random.default_rng(seed + 100)
    boxes = scene(
        seed + 100,
        images=int(rng.integers(1, 20)),
        labels=int(rng.integers(1, 4)),
        truths=float(rng.uniform(0.3, 8)),
        boxes=float(rng.uniform(0.5, 30)),
        side=int(rng.integers(6, 60)),
    )
    if len(boxes.true_image) and len(boxes.image):
        np.testing.assert_allclose(
            average_precision(match(boxes, IOUS_COCO))[0], pycoco(boxes, IOUS_COCO), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("seed", range(12))
def test_boxes_of_negative_area_are_neither_right_nor_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = scene(seed + 300, images=12, labels=2, truths=4, boxes=20, side=20)
    box, true_box = boxes.box.copy(), boxes.true_box.copy()
    box[rng.random(len(box)) < 0.3, 2] *= -1
    box[rng.random(len(box)) < 0.1, 3] *= -1
    true_box[rng.random(len(true_box)) < 0.1, 3] *= -1
    odd = replace(boxes, box=box, true_box=true_box)
    assert (box[:, 2] * box[:, 3] < 0).any()
    assert (true_box[:, 3] < 0).any()
    (ours,) = average_precision(match(odd, IOUS_COCO))
    np.testing.assert_allclose(ours, pycoco(odd, IOUS_COCO), rtol=0, atol=1e-9)
    assert metrics(odd)["ap_coco"] == pytest.approx(float(pycoco(odd, IOUS_COCO).mean()), abs=1e-9)


def test_a_box_of_negative_width_is_no_false_positive() -> None:
    """A right box below one that runs backwards: counted as wrong, the latter would halve the precision."""
    true_box = np.array([[10.0, 10.0, 20.0, 20.0]])
    zero, one = np.zeros(2, np.int64), np.zeros(1, np.int64)
    boxes = Detections(
        1, zero, zero, np.array([0.9, 0.8]), np.array([[60.0, 5, -9, 9], *true_box]), one, one, true_box
    )
    assert metrics(boxes)["ap_coco"] == pytest.approx(1)
    assert metrics(boxes)["sensitivity_1fp"] == 1
    wrong = replace(boxes, box=np.abs(boxes.box))
    assert metrics(wrong)["ap_coco"] == pytest.approx(0.5)
    backwards = replace(boxes, true_box=np.array([[10.0, 10.0, 20.0, -20.0]]))
    assert np.isnan(metrics(backwards)["ap_coco"])


def test_the_number_of_mean_metrics_is_coco_s() -> None:
    boxes = SCENES["three labels"]
    values = metrics(boxes)
    assert values["ap_coco"] == pytest.approx(pycoco(boxes, IOUS_COCO).mean(), abs=1e-9)
    assert values["ap_50"] == pytest.approx(pycoco(boxes, (0.5,)).mean(), abs=1e-9)
    assert values["ap_40_75"] == pytest.approx(pycoco(boxes, IOUS_MGCA).mean(), abs=1e-9)


def test_nothing_to_find_and_nothing_found() -> None:
    boxes = SCENES["one label"]
    assert all(np.isnan(v) for v in metrics(empty(boxes, truths=True)).values())
    assert metrics(empty(boxes, found=True)) == dict.fromkeys(NAMES, 0.0)
    nothing = empty(boxes, truths=True, found=True)
    assert all(np.isnan(v) for v in metrics(nothing).values())


def test_the_truth_itself_scores_one() -> None:
    boxes = scene(8, labels=3)
    area = boxes.true_box[:, 2:].min(axis=1) > 0
    boxes = boxes.keep(np.zeros(len(boxes.image), np.bool_), area)
    # The published cut needs a confidence, and none of the truths may lie on top of another.
    perfect = replace(
        boxes,
        image=boxes.true_image,
        label=boxes.true_label,
        score=np.linspace(1, 0.6, len(boxes.true_image)).astype(np.float64),
        box=boxes.true_box,
    )
    assert metrics(perfect) == dict.fromkeys(NAMES, pytest.approx(1.0))


def repeated(boxes: Detections, times: Any) -> Detections:
    """Take each image as often as ``times`` says, the copies side by side."""
    copies = [(n, k) for n, count in enumerate(times) for k in range(count)]
    new = {pair: number for number, pair in enumerate(copies)}
    rows = [(n, new[image, k]) for n, image in enumerate(boxes.image) for k in range(times[image])]
    true_rows = [(n, new[image, k]) for n, image in enumerate(boxes.true_image) for k in range(times[image])]
    chosen, image = (np.array(column) for column in zip(*rows, strict=True))
    true_chosen, true_image = (np.array(column) for column in zip(*true_rows, strict=True))
    return Detections(
        len(copies),
        image,
        boxes.label[chosen],
        boxes.score[chosen],
        boxes.box[chosen],
        true_image,
        boxes.true_label[true_chosen],
        boxes.true_box[true_chosen],
    )


@pytest.mark.parametrize("name", ["one label", "three labels", "crowded, many ties"])
def test_weights_are_repeated_images(name: str) -> None:
    tied = SCENES[name]
    # Between equal scores the order of the images matters, but for the free-response curve.
    scores: Any = np.random.default_rng(0).permutation(len(tied.score)) / len(tied.score)
    distinct = replace(tied, score=scores)
    times = np.random.default_rng(1).integers(0, 4, tied.images)
    weights: Any = np.stack([np.ones(tied.images), times])
    for name in NAMES:
        for boxes in (distinct, tied) if "sensitivity" in name else (distinct,):
            once, weighted = METRICS[name].statistic(stored(boxes))(weights)
            assert weighted == pytest.approx(metrics(repeated(boxes, times))[name], abs=1e-9)
            assert once == metrics(boxes)[name]
            assert np.isnan(METRICS[name].statistic(stored(boxes))(0 * weights)).all()


def test_legacy_forgives_missed_images_and_false_alarms() -> None:
    zeros = np.zeros(4, np.int64)
    square = np.array([10.0, 10.0, 20.0, 20.0])
    boxes = Detections(
        images=4,
        # Image 0: found. Image 1: false alarm. Image 2: found too weakly. Image 3: missed.
        image=np.array([0, 1, 2, 0]),
        label=zeros,
        score=np.array([0.5, 0.9, 0.4999, 0.3]),
        box=np.stack([square, square, square, square + 100]),
        true_image=np.array([0, 2, 3]),
        true_label=zeros[:3],
        true_box=np.stack([square] * 3),
    )
    values = metrics(boxes, names=("ap_legacy", "ap_40_75"))
    assert values["ap_legacy"] == pytest.approx(1.0)
    assert values["ap_40_75"] == pytest.approx(pycoco(boxes, IOUS_MGCA).mean(), abs=1e-9)
    assert values["ap_40_75"] < 0.5
    kept = published(boxes)
    assert kept.image.tolist() == [0]
    assert kept.true_image.tolist() == [0]
    assert metrics(replace(boxes, score=0.5 * boxes.score), names=("ap_legacy",)) == {"ap_legacy": 0.0}


def _froc(boxes: Detections, rate: float) -> float:
    """Try every score threshold, one label, with a matching of its own."""
    best = 0.0
    for threshold in sorted(set(boxes.score.tolist())):
        found = wrong = 0
        for image in range(boxes.images):
            free = [b for b, i in zip(boxes.true_box, boxes.true_image, strict=True) if i == image]
            mine = [n for n in range(len(boxes.image)) if boxes.image[n] == image]
            for n in sorted(mine, key=lambda n: -boxes.score[n]):
                if boxes.score[n] < threshold:
                    continue
                overlaps = [float(pair_iou(boxes.box[n], truth)) for truth in free]
                if overlaps and max(overlaps) >= 0.5:
                    found += 1
                    best_one = max(range(len(free)), key=lambda k: (overlaps[k], k))
                    del free[best_one]
                else:
                    wrong += 1
        if wrong / boxes.images <= rate:
            best = max(best, found / len(boxes.true_image))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_froc_against_every_threshold(seed: int) -> None:
    boxes = scene(seed + 20, images=12, boxes=8)
    values = metrics(boxes, names=("froc_sensitivity", "sensitivity_1fp"))
    rates = (0.125, 0.25, 0.5, 1, 2, 4, 8)
    assert values["sensitivity_1fp"] == pytest.approx(_froc(boxes, 1))
    assert values["froc_sensitivity"] == pytest.approx(np.mean([_froc(boxes, rate) for rate in rates]))
    assert values["froc_sensitivity"] > 0


def test_predictions_without_any_box_are_read() -> None:
    nothing = stored(SCENES["three labels"])
    for name in list(nothing):
        if name != "id":
            nothing[name] = np.zeros((0, 4) if name.endswith("box") else 0)
    assert np.isnan(detection_metrics(nothing, names=("ap_50",))["ap_50"])
