"""YOLOv3 on an encoder: its maps, its anchors, and its targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.features import pyramid_features
from g2d_bench.encoders.load import Encoder

modules: Any = import_quietly("g2d_bench.adapters.mm.detection")
SIZE = 64
RULE = Catalogue.open().protocols["clean"].table("detection")
READING = modules.Reading(score_threshold=0.01, nms_iou=0.5, max_boxes=100)
WIDTHS = (32, 16, 8)


@pytest.mark.parametrize(
    ("size", "sides"), [(128, (16, 8, 4)), (224, (28, 14, 7)), (40, (4, 2, 1)), (250, (32, 16, 8))]
)
def test_three_grids_that_double(size: int, sides: tuple[int, int, int]) -> None:
    assert modules.grids(size) == sides
    pyramid = [
        torch.randn(2, 3, 2 * sides[0], 2 * sides[0]),
        *(torch.randn(2, 3, side, side) for side in sides),
    ]
    assert all(a is b for a, b in zip(modules.to_grids(pyramid, size), pyramid[1:], strict=True))


def test_maps_of_other_sizes_are_resampled() -> None:
    ramp = torch.linspace(0, 1, 14).expand(1, 1, 14, 14)
    fine, middle, coarse = modules.to_grids([ramp] * 4, 224)
    assert [level.shape[-1] for level in (fine, middle, coarse)] == [28, 14, 7]
    assert middle is ramp
    # Antialiased: a coarse cell is a weighted mean of its neighbourhood, so the ramp stays a ramp.
    assert coarse[0, 0, 0, 3].item() == pytest.approx(0.5)
    assert (coarse[0, 0, 0].diff() > 0).all()


@pytest.mark.parametrize(
    ("sides", "read"), [((12,), (12, 12, 12)), ((12, 6), (12, 6, 6)), ((48, 24, 12, 6), (24, 12, 6))]
)
def test_a_short_pyramid_is_read_on_all_grids(sides: tuple[int, ...], read: tuple[int, ...]) -> None:
    pyramid = [torch.randn(2, side, side, side) for side in sides]
    assert [level.shape[1] for level in modules.three(pyramid)] == list(read)
    levels = modules.to_grids(pyramid, 128)
    assert [tuple(level.shape[1:]) for level in levels] == [
        (width, side, side) for width, side in zip(read, (16, 8, 4), strict=True)
    ]


@pytest.mark.parametrize("inside", [None, 88])
def test_cached_maps_are_those_of_the_pyramid(
    small_encoder: Callable[..., Encoder], inside: int | None
) -> None:
    model = small_encoder(SIZE, resize_inside=inside)
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)
    rows = np.array([3, 0, 4])
    levels = modules.dense_levels(model, pixels, rows)
    pyramid = pyramid_features(model, pixels, rows)
    assert [tuple(level.shape) for level in levels] == [(3, 16, 8, 8), (3, 16, 4, 4), (3, 24, 2, 2)]
    for level, expected in zip(levels, modules.to_grids(pyramid, SIZE), strict=True):
        assert torch.equal(level, expected)
    assert modules.dense_bytes(model) * 3 == sum(4 * level.numel() for level in levels)


def test_anchors_grow_with_the_input(small_encoder: Callable[..., Encoder]) -> None:
    pixels = np.zeros((1, 208, 208), np.uint8)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = modules.yolo_v3(small_encoder(208), RULE, READING, WIDTHS, pixels, None, 3)
    generator = model.bbox_head.prior_generator
    assert generator.base_sizes[0][0] == (58, 45)
    assert [stride[0] for stride in generator.strides] == [208 / 6, 208 / 12, 208 / 24]
    assert model.bbox_head.num_classes == 3
    assert [level.shape[-1] for level in model.backbone(torch.tensor([0]))] == [24, 12, 6]


def _true_boxes(generator: np.random.Generator, count: int, labels: int, size: int) -> InstanceData:
    """Random boxes, some of them points, some touching the right or lower edge, some sharing a cell."""
    low = generator.uniform(0, size - 1, (count, 2))
    high = np.minimum(low + generator.uniform(0, size, (count, 2)) * generator.choice([0.02, 0.3, 1]), size)
    if count > 2:
        low[1], high[1] = low[0] + 0.1, low[0] + 0.3
        low[2], high[2] = low[0], high[0]
    corners = torch.from_numpy(np.concatenate([low, high], axis=1).astype(np.float32))
    return InstanceData(bboxes=corners, labels=torch.from_numpy(generator.integers(0, labels, count)))


def test_targets_found_once_are_those_that_mmdet_finds_in_every_step(
    small_encoder: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = 3
    with DefaultScope.overwrite_default_scope("mmdet"):
        pixels = np.zeros((1, 128, 128), np.uint8)
        head = modules.yolo_v3(small_encoder(128), RULE, READING, WIDTHS, pixels, None, labels).bbox_head
    generator = np.random.default_rng(3)
    counts = [0, 1, 3, 12, 40, 0, 2, 5]
    truth = [_true_boxes(generator, count, labels, 128) for count in counts]
    sides = (4, 8, 16)
    priors = head.prior_generator.grid_priors([(side, side) for side in sides], device="cpu")
    assert not any(len(t) for t in (truth[0], truth[5]))
    for batch in ([0, 1, 2, 3], [3, 3, 0, 4], [7, 6, 5, 4], [0, 5]):
        boxes = [truth[n] for n in batch]
        flags = [head.responsible_flags([(s, s) for s in sides], box.bboxes, "cpu") for box in boxes]
        expected = head.get_targets([priors] * len(batch), flags, boxes)
        given = head.target_maps([(side, side) for side in sides], boxes, batch)
        for theirs, ours in zip(expected, given, strict=True):
            assert [level.dtype for level in ours] == [level.dtype for level in theirs]
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        maps = [torch.from_numpy(generator.normal(size=(len(batch), 24, s, s))).float() for s in sides]
        infos = [{"index": n} for n in batch]
        with monkeypatch.context() as patch:
            patch.delattr(modules.G2DBenchYOLOHead, "loss_by_feat_single")
            theirs = super(type(head), head).loss_by_feat(maps, boxes, infos)
        ours = head.loss_by_feat(maps, boxes, infos)
        assert list(ours) == list(theirs)
        assert all(torch.equal(a, b) for k in ours for a, b in zip(ours[k], theirs[k], strict=True))
    # Nothing was found twice, and what is kept is small: objects and doubtful anchors only.
    assert sorted(head._targets) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert len(head._targets[0][0]) == len(head._targets[0][2]) == 0


def test_losses_of_a_level_are_those_of_mmdet_where_objects_are_background_too(
    small_encoder: Callable[..., Encoder],
) -> None:
    with DefaultScope.overwrite_default_scope("mmdet"):
        pixels = np.zeros((1, 128, 128), np.uint8)
        head = modules.yolo_v3(small_encoder(128), RULE, READING, WIDTHS, pixels, None, 3).bbox_head
    generator = torch.Generator().manual_seed(4)
    found = torch.randn(2, 24, 4, 4, generator=generator)
    target = torch.rand(2, 48, 8, generator=generator).round()
    negative = torch.rand(2, 48, generator=generator).round().to(torch.uint8)
    assert (negative * target[..., 4]).any()
    with pytest.warns(UserWarning, match="overlap"):
        theirs = super(type(head), head).loss_by_feat_single(found, target, negative)
    ours = head.loss_by_feat_single(found, target, negative)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
