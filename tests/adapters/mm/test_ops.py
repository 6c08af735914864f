from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import ops

from g2d_bench.adapters.mm import ops as mm_ops
from g2d_bench.adapters.mm.runner import import_quietly

pytestmark = pytest.mark.skipif(not mm_ops.install(), reason="mmcv is compiled here")


@pytest.fixture(scope="module")
def mmcv_ops() -> ModuleType:
    return import_quietly("mmcv.ops")


def _boxes(seed: int, count: int, side: int = 10) -> tuple[Tensor, Tensor]:
    """Corners on a coarse grid, some boxes without area; scores all different."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, side, (count, 2), generator=generator)
    extent = torch.randint(0, side // 2, (count, 2), generator=generator)
    scores = torch.randperm(count, generator=generator) / max(count, 1)
    return torch.cat([corner, corner + extent], dim=1).float(), scores


def _literal_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for n in scores.argsort(descending=True).tolist():
        left, top, right, bottom = boxes[n].tolist()
        for k in kept:
            a, b, c, d = boxes[k].tolist()
            width = max(0.0, min(right, c) - max(left, a) + offset)
            height = max(0.0, min(bottom, d) - max(top, b) + offset)
            union = (right - left + offset) * (bottom - top + offset) + (c - a + offset) * (d - b + offset)
            union -= width * height
            if union > 0 and width * height / union > threshold:
                break
        else:
            kept.append(n)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("threshold", [0.31, 0.5, 0.71])
def test_nms_against_a_literal_loop(mmcv_ops: Any, offset: int, count: int, threshold: float) -> None:
    boxes, scores = _boxes(count + offset, count)
    found, kept = mmcv_ops.nms(boxes, scores, threshold, offset=offset)
    expected = _literal_nms(boxes, scores, threshold, offset)
    assert kept.dtype == torch.int64
    assert kept.tolist() == expected
    assert torch.equal(found, torch.cat([boxes, scores[:, None]], dim=1)[expected])
    if count > 1:
        assert 1 < len(expected) < count


def test_nms_keeps_an_overlap_of_exactly_the_threshold(mmcv_ops: Any) -> None:
    boxes, scores = torch.tensor([[0.0, 0, 2, 1], [0, 0, 1, 1]]), torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, 0.5)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, 0.49)[1].tolist() == [0]


def test_batched_nms_equals_torchvision(mmcv_ops: Any) -> None:
    boxes, scores = _boxes(5, 80)
    labels = torch.arange(80) % 3
    _, kept = mmcv_ops.batched_nms(boxes, scores, labels, {"type": "nms", "iou_threshold": 0.4})
    assert kept.tolist() == ops.batched_nms(boxes, scores, labels, 0.4).tolist()


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_equals_torchvision_forward_and_backward(mmcv_ops: Any, aligned: bool, ratio: int) -> None:
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.double)
    corners = 30 * torch.rand(7, 2, 2, generator=generator, dtype=torch.double)
    corners = corners.sort(dim=1).values.flatten(1)
    rois = torch.cat([torch.arange(7, dtype=torch.double)[:, None] % 2, corners], dim=1)
    weight = torch.randn(7, 3, 4, 5, generator=generator, dtype=torch.double)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    pooled = mmcv_ops.roi_align(ours, rois, (4, 5), 0.25, ratio, "avg", aligned)
    expected = ops.roi_align(theirs, rois, (4, 5), 0.25, ratio or -1, aligned)
    torch.testing.assert_close(pooled, expected)
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    assert ours.grad is not None
    assert ours.grad.abs().sum() > 0
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_roi_align_averages_a_constant_and_a_ramp(mmcv_ops: Any) -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8).contiguous()
    roi = torch.tensor([[0.0, 1, 1, 5, 5]])
    # With cell centres at half cells, columns 1 to 5 have their mean at 3 - 0.5.
    assert mmcv_ops.roi_align(ramp, roi, (1, 1), 1.0, 0, "avg", True).item() == pytest.approx(2.5)
    assert mmcv_ops.roi_align(ramp, roi, (1, 1), 1.0, 0, "avg", False).item() == pytest.approx(3.0)


def test_what_has_no_counterpart_says_so(mmcv_ops: Any) -> None:
    boxes, scores = _boxes(1, 4)
    with pytest.raises(NotImplementedError, match="no softnms"):
        mmcv_ops.soft_nms(boxes, scores)
    with pytest.raises(NotImplementedError, match="maxima"):
        mmcv_ops.roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), (1, 1), 1.0, 0, "max")
    with pytest.raises(NotImplementedError, match="maxima"):
        mm_ops.roi_align_backward(
            *[torch.zeros(1)] * 5,
            aligned_height=1,
            aligned_width=1,
            spatial_scale=1.0,
            sampling_ratio=0,
            pool_mode=0,
            aligned=True,
        )
    with pytest.raises(AttributeError):
        _ = sys.modules[mm_ops.NAME].__path__


def test_a_compiled_module_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = ModuleType(mm_ops.NAME)
    monkeypatch.setitem(sys.modules, mm_ops.NAME, compiled)
    assert not mm_ops.install()
    assert sys.modules[mm_ops.NAME] is compiled
    monkeypatch.delitem(sys.modules, mm_ops.NAME)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert not mm_ops.install()
    assert mm_ops.NAME not in sys.modules


def test_installing_twice_changes_nothing() -> None:
    before = sys.modules[mm_ops.NAME]
    assert mm_ops.install()
    assert sys.modules[mm_ops.NAME] is before


@pytest.mark.slow
def test_mmdet_needs_it() -> None:
    """Without the stand-in, mmdet's models cannot be imported: else this module should go."""
    code = "import mmdet.models"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "mmcv._ext" in alone.stderr
    code = f"from g2d_bench.adapters.mm import ops; ops.install(); {code}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
