"""Detection where images stay on a device: what each of them has to teach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope

from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.load import Encoder

modules: Any = import_quietly("g2d_bench.adapters.mm.detection")
det_steps: Any = import_quietly("g2d_bench.adapters.mm.detection_steps")
SIZE = 64


def test_targets_are_those_of_each_image_alone(
    small_encoder: Callable[..., Encoder], monkeypatch: Any
) -> None:
    rule = Catalogue.open().protocols["clean"].table("detection")
    with DefaultScope.overwrite_default_scope("mmdet"):
        head = modules.yolo_v3(
            small_encoder(SIZE),
            rule,
            modules.Reading(0.01, 0.5, 100),
            (32, 16, 8),
            np.zeros((5, SIZE, SIZE), np.uint8),
            None,
            2,
        ).bbox_head
    boxes = [np.array([[4.0 + n, 8, 30, 40 + n]] * (n % 3)).reshape(-1, 4) for n in range(5)]
    labels = [np.arange(n % 3, dtype=np.int64) % 2 for n in range(5)]
    images = modules.BoxRows([4, 3, 2, 1, 0], boxes, labels, SIZE)
    # More images than are looked at together.
    monkeypatch.setattr(det_steps, "SOME", 2)
    targets = det_steps.Targets(head, images, SIZE, torch.device("cpu"))
    assert targets.rows.tolist() == [4, 3, 2, 1, 0]
    sides = [(side, side) for side in reversed(modules.grids(SIZE))]
    for number in range(5):
        true = [images[number]["data_samples"].gt_instances]
        maps, negatives = head.target_maps(sides, true, [10 + number])
        for level in range(3):
            assert torch.equal(targets.maps[level][number], maps[level][0])
            assert torch.equal(targets.negatives[level][number], negatives[level][0])
    assert sum(int(level[..., 4].sum()) for level in targets.maps) == sum(map(len, boxes)) - 1
