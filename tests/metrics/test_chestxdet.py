"""ChestX-Det10's recalls against a plain reading of its rules, with scipy's line between points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from g2d_bench.metrics.chestxdet import METRICS, RATES

Arrays = dict[str, NDArray[Any]]


def scene(seed: int, images: int = 60, labels: int = 3, wrong: float = 1.0, ties: int = 1000) -> Arrays:
    """Truths, boxes near most of them, and boxes anywhere."""
    rng = np.random.default_rng(seed)
    true, found = [], []
    for image in range(images):
        for label in range(labels):
            for _ in range(rng.integers(0, 3)):
                box = np.r_[rng.uniform(0, 60, 2), rng.uniform(10, 40, 2)].round()
                true.append((image, label, box))
                for _ in range(rng.integers(0, 3)):
                    near = np.r_[box[:2] + rng.normal(0, 3, 2), box[2:] * rng.uniform(0.8, 1.2, 2)]
                    found.append((image, label, near, rng.integers(ties // 3, ties)))
            for _ in range(rng.poisson(wrong)):
                box = np.r_[rng.uniform(0, 60, 2), rng.uniform(10, 40, 2)]
                found.append((image, label, box, rng.integers(0, ties)))
    return {
        "id": np.array([f"i{n}" for n in range(images)]),
        "patient": np.array([f"p{n // 2}" for n in range(images)]),
        "box_image": np.array([one[0] for one in found], np.int32),
        "box_label": np.array([one[1] for one in found], np.int16),
        "box": np.array([one[2] for one in found]).reshape(-1, 4),
        "box_score": np.array([one[3] for one in found]) / ties,
        "true_image": np.array([one[0] for one in true], np.int32),
        "true_label": np.array([one[1] for one in true], np.int16),
        "true_box": np.array([one[2] for one in true]).reshape(-1, 4),
    }


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Count pixels, first and last included."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    common = max(w, 0) * max(h, 0)
    return float(common / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - common))


def by_the_rules(arrays: Arrays) -> list[float]:
    """Read the curve of each label box by box."""
    count = len(arrays["id"])
    per_label = []
    for label in sorted(set(arrays["true_label"].tolist())):
        truths = [n for n in range(len(arrays["true_box"])) if arrays["true_label"][n] == label]
        boxes = [n for n in range(len(arrays["box"])) if arrays["box_label"][n] == label]
        boxes.sort(key=lambda n: -arrays["box_score"][n])
        taken: set[int] = set()
        hits, misses, recall, wrong = 0, 0, [], []
        for n in boxes:
            here = [t for t in truths if arrays["true_image"][t] == arrays["box_image"][n]]
            best = max(here, key=lambda t: overlap(arrays["box"][n], arrays["true_box"][t]), default=None)
            if (
                best is not None
                and overlap(arrays["box"][n], arrays["true_box"][best]) >= 0.5
                and best not in taken
            ):
                taken.add(best)
                hits += 1
            else:
                misses += 1
            recall.append(hits / len(truths))
            wrong.append(misses / count)
        if not wrong:
            per_label.append([0.0] * 3)
        elif not wrong[-1]:
            per_label.append([recall[-1]] * 3)
        else:
            line = interp1d(wrong, recall, fill_value="extrapolate")
            per_label.append([float(line(min(rate, wrong[-1]))) for rate in RATES])
    return [float(value) for value in np.mean(per_label, axis=0)]


@pytest.mark.parametrize("seed", range(6))
def test_as_the_rules_say(seed: int) -> None:
    arrays = scene(seed, wrong=(0.02, 0.1, 1.0)[seed % 3])
    wanted = by_the_rules(arrays)
    names = ("recall_005fp", "recall_01fp", "recall_02fp")
    assert [METRICS[name](arrays) for name in names] == pytest.approx(wanted, abs=1e-12)
    assert METRICS["recall_few_fp"](arrays) == pytest.approx(np.mean(wanted))
    assert wanted[0] <= wanted[1] <= wanted[2]


def test_weights_are_images_repeated() -> None:
    arrays = scene(7, images=30)
    weights = np.random.default_rng(0).integers(1, 4, 30)
    copies = [image for image, times in enumerate(weights) for _ in range(times)]
    repeated: Arrays = {"id": np.array([f"c{n}" for n in range(len(copies))])}
    for kind, names in (("box", ("box", "box_score", "box_label")), ("true", ("true_box", "true_label"))):
        rows = [
            (place, row)
            for place, image in enumerate(copies)
            for row in np.flatnonzero(arrays[f"{kind}_image"] == image)
        ]
        repeated[f"{kind}_image"] = np.array([place for place, _ in rows], np.int32)
        repeated |= {name: arrays[name][[row for _, row in rows]] for name in names}
    # Without ties between scores of different images, copies stand together and count as one step.
    arrays["box_score"] = arrays["box_score"] + np.arange(len(arrays["box_score"])) * 1e-9
    for kind in ("box",):
        rows = [row for image in copies for row in np.flatnonzero(arrays[f"{kind}_image"] == image)]
        repeated["box_score"] = arrays["box_score"][rows]
    for name, spec in METRICS.items():
        weighted = float(spec.statistic(arrays)(weights[None].astype(float))[0])
        assert weighted == pytest.approx(spec(repeated), abs=0.02), name


def test_edges() -> None:
    arrays = scene(1, images=10, labels=1)
    nothing = arrays | {name: arrays[name][:0] for name in ("box", "box_image", "box_label", "box_score")}
    assert METRICS["recall_few_fp"](nothing) == 0
    perfect = arrays | {
        "box": arrays["true_box"],
        "box_image": arrays["true_image"],
        "box_label": arrays["true_label"],
        "box_score": np.ones(len(arrays["true_box"])),
    }
    assert METRICS["recall_005fp"](perfect) == 1
    empty = arrays | {name: arrays[name][:0] for name in ("true_box", "true_image", "true_label")}
    assert np.isnan(METRICS["recall_few_fp"](empty))
    # A draw without the truths of a label leaves that label out.
    one = scene(2, images=12, labels=2)
    weights = (~np.isin(np.arange(12), one["true_image"][one["true_label"] == 1])).astype(float)
    if (weights[one["true_image"][one["true_label"] == 0]]).sum():
        assert np.isfinite(METRICS["recall_02fp"].statistic(one)(weights[None])).all()
