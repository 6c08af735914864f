"""Average precision: our matcher beside pycocotools and faster-coco-eval, same boxes, same numbers.

Run: python benchmarks/detection_ap.py [images]
Writes benchmarks/results/detection_ap.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.metrics.boxes import Detections, match
from g2d_bench.metrics.detection import IOUS_COCO, average_precision

REPEATS = 3


def scene(images: int, boxes: int, seed: int = 0) -> Detections:
    """RSNA-like: a third as many truths as images; a detector that gives `boxes` boxes on every image."""
    rng = np.random.default_rng(seed)
    true_image = np.sort(rng.choice(images, int(0.35 * images)))
    true_box = np.c_[rng.uniform(100, 700, (len(true_image), 2)), rng.uniform(100, 400, (len(true_image), 2))]
    image = np.repeat(np.arange(images), boxes)
    box = np.c_[rng.uniform(0, 800, (len(image), 2)), rng.uniform(50, 400, (len(image), 2))]
    first = np.searchsorted(image, true_image)
    box[first] = true_box + rng.normal(0, 30, true_box.shape)
    zeros = np.zeros(len(image), np.int64)
    score = rng.random(len(image))
    return Detections(images, image, zeros, score, box, true_image, zeros[: len(true_image)], true_box)


def ours(boxes: Detections) -> float:
    return float(average_precision(match(boxes, IOUS_COCO)).mean())


def reference(boxes: Detections, coco: type[Any], evaluator: type[Any]) -> float:
    truth = {
        "info": {},
        "images": [{"id": n, "width": 1024, "height": 1024} for n in range(boxes.images)],
        "categories": [{"id": 0, "name": "object"}],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": 0, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for n, (i, b) in enumerate(zip(boxes.true_image, boxes.true_box.tolist(), strict=True))
        ],
    }
    found = [
        {"image_id": int(i), "category_id": 0, "bbox": b, "score": s}
        for i, b, s in zip(boxes.image, boxes.box.tolist(), boxes.score.tolist(), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        index = coco()
        index.dataset = truth
        index.createIndex()
        evaluation = evaluator(index, index.loadRes(found), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][:, :, 0, 0, 0].mean())


def timed(call: Callable[[], float]) -> tuple[float, float]:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        value = call()
        seconds.append(time.perf_counter() - start)
    return value, min(seconds)


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 4003
    tools: dict[str, tuple[type[Any], type[Any]]] = {}
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    tools["pycocotools"] = (COCO, COCOeval)
    with contextlib.suppress(ImportError):
        import faster_coco_eval

        tools["faster-coco-eval"] = (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster)
    rows = []
    for boxes_per_image in (10, 100):
        boxes = scene(images, boxes_per_image)
        row: dict[str, Any] = {"images": images, "boxes": len(boxes.image), "truths": len(boxes.true_image)}
        value, row["g2d-bench s"] = timed(partial(ours, boxes))
        for name, (coco, evaluator) in tools.items():
            other, row[f"{name} s"] = timed(partial(reference, boxes, coco, evaluator))
            row[f"{name} difference"] = abs(other - value)
            assert abs(other - value) < 1e-9, name
        rows.append(row)
        print(row)
    result = {
        "what": "ap_coco of one label, best of three, from arrays to number",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("numpy", *tools)},
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "detection_ap.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
