"""From attention to pseudo-masks: the parameter-free processor of G2D (Liu et al. 2024, sections 3.2–3.3).

``released`` does what the released code does: heads are averaged, the map is enlarged to the image by nearest
neighbours, and what exceeds the 85 % quantile of the enlarged map is foreground. The released code builds
the enlarged map and sorts it on the host, in every step. The same bits follow from the cells and from how
often each of them occurs in the enlarged map, on the device. With 8 x 8 cells in an image of 256, that is
9 of 64 cells, always.

``paper`` does what the paper says: mean over heads, enlargement, body mask, quantile, edge-preserving
smoothing. The paper leaves open how the map is enlarged, how the body is found, of which pixels the quantile
is taken, and the parameters of the bilateral filter; fields of :class:`PseudoMaskConfig` say what was chosen.
Nothing here waits for the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from g2d_bench.errors import InputError
from g2d_bench.pretrain.body_mask import BINS, body_mask, stretched
from g2d_bench.pretrain.recipe_check import check_options
from g2d_bench.pretrain.smoothing import bilateral

MAX_BINS = 1 << 16
"""As many greys as a film may have."""

Counts = NDArray[np.int64]

REFERENCE_SIDE = 256
"""Side of the image for which ``window`` and ``sigma_space`` are given; they scale with the image."""


@dataclass(frozen=True, slots=True)
class PseudoMaskConfig:
    """What the processor does; the switches are those of the paper's ablations (table 5).

    Attributes:
        variant: ``paper`` or ``released``. Of the fields below, ``released`` has only the next three.
        quantile: share of the pixels below the threshold; 0.75 and 0.5 (median) in the ablation.
        head: the one head whose attention is used, instead of the mean over heads.
        shuffle: give each image the mask of the image before it in the batch (table 8).
        body: keep to the body.
        bins: of the histogram by which the body is found.
        fill: fill the body mask, so that it holds the lungs.
        quantile_over: take the quantile over the ``body`` or over the ``image``, scores outside being 0.
        smoothing: smooth the mask along the edges of the image.
        guide: what the filter sees as an edge: of the ``image``, or of the ``mask`` itself, which turns an
            ordinary bilateral filter of a binary mask into one that changes next to nothing.
        window: side of the filter's square, in an image of 256; at least 3, odd, after scaling.
        sigma_color: of the filter, in units of the grey range of an image.
        sigma_space: of the filter, pixels in an image of 256.

    Raises:
        InputError: a value that makes no sense.
    """

    variant: Literal["paper", "released"] = "paper"
    quantile: float = 0.85
    head: int | None = None
    shuffle: bool = False
    body: bool = True
    bins: int = BINS
    fill: bool = True
    quantile_over: Literal["body", "image"] = "body"
    smoothing: bool = True
    guide: Literal["image", "mask"] = "image"
    window: int = 9
    sigma_color: float = 0.1
    sigma_space: float = 3.0

    def __post_init__(self) -> None:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        check_options(values, type(self), "pseudo_mask")
        if self.bins > MAX_BINS:
            raise InputError(f"must be {MAX_BINS:,} at most, not {self.bins:,}", field="pseudo_mask.bins")
        if not 0 <= self.quantile <= 1:
            raise InputError(f"must lie in [0, 1], not {self.quantile}", field="pseudo_mask.quantile")
        for name in ("sigma_color", "sigma_space"):
            if not getattr(self, name) > 0:
                raise InputError(f"must be above 0, not {getattr(self, name)}", field=f"pseudo_mask.{name}")


@torch.no_grad()
def pseudo_masks(attention: Tensor, image: Tensor, config: PseudoMaskConfig = PseudoMaskConfig()) -> Tensor:
    """Make the targets of the pseudo-segmentation.

    Args:
        attention: weights of the pooling's heads over the cells, [B, heads, h, w].
        image: what was seen, [B, C, H, W] or [B, H, W], any scale; ``released`` takes its size only.
        config: what to do.

    Returns:
        Zeros and ones [B, 1, H, W], single precision (double for double attention), without gradient.

    Raises:
        InputError: there is no such head.
    """
    if attention.dtype in (torch.float16, torch.bfloat16):
        attention = attention.float()
    cells = _one_map(attention, config.head)
    size = (image.shape[-2], image.shape[-1])
    if config.variant == "released":
        masks = released_masks(cells, size, config.quantile)
    else:
        masks = _paper_masks(cells, stretched(image), config)
    masks = masks.to(cells.dtype)[:, None]
    return masks.roll(1, dims=0) if config.shuffle else masks


def released_masks(cells: Tensor, size: tuple[int, int], quantile: float = 0.85) -> Tensor:
    """Mark what exceeds the quantile of the map that nearest-neighbour enlargement would give.

    Pixel i of H shows cell ``floor(i h / H)``. The quantile is that of ``numpy.quantile`` (NumPy 2, method
    ``linear``) over all pixels, to the last bit.

    Args:
        cells: [B, h, w], single or double precision.
        size: H, W.
        quantile: in [0, 1].

    Returns:
        Zeros and ones [B, H, W], of the type of the cells; all zero for a map with a NaN in it.
    """
    height, width = cells.shape[1:]
    rows, columns = _repeats(height, size[0]), _repeats(width, size[1])
    threshold = _repeated_quantile(cells.flatten(1), np.outer(rows, columns).ravel(), quantile)
    mask = (cells > threshold[:, None, None]).to(cells.dtype)
    # Columns first, on few rows: the larger part of the copying then moves whole rows.
    return _enlarged(_enlarged(mask, columns, 2), rows, 1)


def _one_map(attention: Tensor, head: int | None) -> Tensor:
    """Average the heads, one after the other: the same sum on every device."""
    maps = attention.unbind(dim=1)
    if head is not None:
        if not 0 <= head < len(maps):
            raise InputError(f"there is no head {head}, only 0 to {len(maps) - 1}", field="pseudo_mask.head")
        return maps[head]
    total = maps[0]
    for other in maps[1:]:
        total = total + other
    return total / len(maps)


def _paper_masks(cells: Tensor, grey: Tensor, config: PseudoMaskConfig) -> Tensor:
    """Mean map -> enlargement (bilinear) -> body -> quantile -> smoothing -> 0.5: bool [B, H, W]."""
    size = (grey.shape[1], grey.shape[2])
    scores = functional.interpolate(cells[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    body = (
        body_mask(grey, bins=config.bins, fill=config.fill) if config.body else torch.ones_like(grey).bool()
    )
    scores = torch.where(body, scores, 0)
    counted = body if config.quantile_over == "body" else torch.ones_like(body)
    threshold = masked_quantile(scores.flatten(1), counted.flatten(1), config.quantile)
    # A threshold of 0, the score outside, must not make the outside foreground.
    mask = (scores >= threshold[:, None, None]) & body
    if not config.smoothing:
        return mask
    scale = max(size) / REFERENCE_SIDE
    soft = mask.float()
    smooth = bilateral(
        soft,
        grey if config.guide == "image" else soft,
        window=max(3, 2 * math.floor(config.window * scale / 2) + 1),
        sigma_color=config.sigma_color,
        sigma_space=config.sigma_space * scale,
    )
    return smooth > 0.5


def masked_quantile(values: Tensor, counted: Tensor, quantile: float) -> Tensor:
    """Take the quantile of the counted values of each row, interpolating linearly.

    Args:
        values: [B, N].
        counted: bool [B, N], at least one in each row.
        quantile: in [0, 1].

    Returns:
        [B].
    """
    # Only the upper end is sorted: at 85 % that is a sixth of the values, in a fraction of the time. A place
    # counts from the largest value down, and is furthest from it where all values count.
    longest = math.ceil((values.shape[1] - 1) * (1 - quantile)) + 2
    top = values.masked_fill(~counted, -torch.inf).topk(min(longest, values.shape[1]), dim=1).values
    last = (counted.sum(dim=1, keepdim=True) - 1).double()
    place = last * quantile
    lower = place.floor()
    low = top.gather(1, (last - lower).long())
    high = top.gather(1, (last - place.ceil()).long())
    return (low + (high - low) * (place - lower).to(values.dtype))[:, 0]


def _repeated_quantile(cells: Tensor, repeats: Counts, quantile: float) -> Tensor:
    """``numpy.quantile`` over [B, N] values of which the i-th occurs ``repeats[i]`` times: [B]."""
    if not repeats.all():  # an enlargement to fewer pixels than cells leaves cells out
        cells, repeats = cells[:, torch.from_numpy(repeats > 0).to(cells.device)], repeats[repeats > 0]
    # NumPy computes the place in the type of the data, and single precision is coarse near 65,535.
    kind = np.float64 if cells.dtype == torch.float64 else np.float32
    count = int(repeats.sum())
    place = kind(count - 1) * kind(quantile)
    lower = min(int(np.floor(place)), count - 1)
    upper = min(lower + 1, count - 1)
    share = kind(place - np.floor(place)) if lower < upper else kind(0)
    if (repeats == repeats[0]).all():
        ordered = cells.sort(dim=1).values
        low, high = ordered[:, lower // repeats[0]], ordered[:, upper // repeats[0]]
    else:
        ordered, order = cells.sort(dim=1)
        ends = torch.from_numpy(repeats).to(cells.device)[order].cumsum(dim=1)
        low, high = (
            ordered.gather(1, (ends <= place).sum(dim=1, keepdim=True))[:, 0] for place in (lower, upper)
        )
    step = high - low
    value = high - step * float(1 - share) if share >= 0.5 else low + step * float(share)
    # A NaN is sorted last.
    return torch.where(ordered[:, -1].isnan(), torch.nan, value)


def _repeats(cells: int, pixels: int) -> Counts:
    """How many of the pixels show each cell."""
    return np.bincount(np.arange(pixels) * cells // pixels, minlength=cells)


def _enlarged(mask: Tensor, repeats: Counts, dim: int) -> Tensor:
    """Repeat each entry along a dimension."""
    if (repeats == repeats[0]).all():
        shape = list(mask.shape)
        shape[dim] *= int(repeats[0])
        return (
            mask.unsqueeze(dim + 1)
            .expand(*mask.shape[: dim + 1], int(repeats[0]), *mask.shape[dim + 1 :])
            .reshape(shape)
        )
    sources = torch.from_numpy(np.repeat(np.arange(len(repeats)), repeats))
    return mask.index_select(dim, sources.to(mask.device))
