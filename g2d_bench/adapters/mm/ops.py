"""Stand-in for mmcv's compiled operators, from torchvision's.

mmdet imports `mmcv._ext` whatever model is built, but its YOLO needs one operator of it, non-maximum
suppression. Compiling mmcv takes many minutes and a toolchain; torchvision brings the same operators.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torchvision import ops

NAME = "mmcv._ext"


def install() -> bool:
    """Register the stand-in as `mmcv._ext` where no compiled one is there.

    Returns:
        Whether the stand-in is in use.
    """
    if NAME not in sys.modules and importlib.util.find_spec(NAME) is None:
        sys.modules[NAME] = _StandIn()
    return isinstance(sys.modules.get(NAME), _StandIn)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Suppress all but the strongest of boxes that overlap.

    Args:
        boxes: corners (left, top, right, bottom), [N, 4].
        scores: [N].
        iou_threshold: a box goes if it overlaps a stronger one by more than this.
        offset: 0 where corners are positions; 1 where they are the first and last pixel inside, so that a
            side is one longer than the difference of its corners.

    Returns:
        Indices of the boxes that stay, strongest first, int64.
    """
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torch.as_tensor(ops.nms(boxes, scores, iou_threshold))


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool regions (He et al., Mask R-CNN, ICCV 2017, section 3) into ``output``.

    Args:
        input: maps [B, C, H, W].
        rois: number in the batch and corners in pixels of the image, [R, 5].
        output: [R, C, aligned_height, aligned_width]; filled.
        argmax_y: of maximum pooling only.
        argmax_x: of maximum pooling only.
        aligned_height: rows of a pooled region.
        aligned_width: columns of a pooled region.
        spatial_scale: cells of the map per pixel of the image.
        sampling_ratio: samples per bin and axis; 0 for as many as the region has cells.
        pool_mode: 1 for the average; 0, the maximum, is not offered.
        aligned: whether the centre of a cell lies half a cell from its corner.

    Raises:
        NotImplementedError: maximum pooling.
    """
    _only_average(pool_mode)
    size = (aligned_height, aligned_width)
    output.copy_(ops.roi_align(input, rois, size, spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Carry the gradient of :func:`roi_align_forward` back into ``grad_input`` [B, C, H, W].

    Raises:
        NotImplementedError: maximum pooling.
    """
    _only_average(pool_mode)
    size = (aligned_height, aligned_width)
    with torch.enable_grad():
        # Pooling is linear: its gradient does not depend on where it is taken.
        anywhere = torch.zeros_like(grad_input, requires_grad=True)
        pooled = ops.roi_align(anywhere, rois, size, spatial_scale, sampling_ratio, aligned)
        (gradient,) = torch.autograd.grad(pooled, anywhere, grad_output)
    grad_input.copy_(gradient)


def _only_average(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError("mmcv is not compiled here, and its stand-in has no roi_align of maxima")


class _StandIn(ModuleType):
    """A module that has every operator, of which those without a counterpart raise when they are called."""

    def __init__(self) -> None:
        super().__init__(NAME, __doc__)
        self.__spec__ = ModuleSpec(NAME, None)
        self.nms = nms
        self.roi_align_forward = roi_align_forward
        self.roi_align_backward = roi_align_backward

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*args: object, **kwargs: object) -> None:
            raise NotImplementedError(f"mmcv is not compiled here, and its stand-in has no {name}")

        return absent
