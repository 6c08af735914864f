"""Where in a radiograph the body is: a histogram threshold, batched, without a word to the host.

G2D (section 3.2) restricts its pseudo-masks to the body by "a histogram-based threshold" and says no more.
Chosen here: Otsu's threshold of each image ("A threshold selection method from gray-level histograms", 1979),
which separates air and lungs from tissue, and a filling that brings the lungs back.
"""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 256
"""Bins of the histogram."""


def stretched(image: Tensor) -> Tensor:
    """Reduce images to grey and stretch each to [0, 1].

    Args:
        image: [B, C, H, W] or [B, H, W], any real scale (normalised images too: the channels of a grey image
            differ by a linear map, so their mean is that image again).

    Returns:
        Single precision [B, H, W]; zero everywhere for a constant image.
    """
    grey = image.float()
    grey = grey.mean(dim=1) if image.ndim == 4 else grey
    low, high = grey.amin(dim=(1, 2), keepdim=True), grey.amax(dim=(1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (grey - low) / torch.where(span > 0, span, 1), 0)


def otsu_bin(grey: Tensor, bins: int = BINS) -> tuple[Tensor, Tensor]:
    """Find the last histogram bin of the darker class of each image.

    With n_k pixels in bin k: the bin t that maximises ``w_0 w_1 (mu_0 - mu_1)^2``, w being the counts and mu
    the mean bins of the classes ``k <= t`` and ``k > t``; the lowest of several such bins.

    Args:
        grey: [B, H, W] in [0, 1].
        bins: of the histogram; bin k is [k / bins, (k + 1) / bins), the last one closed.

    Returns:
        Long [B], and the bin of each pixel, long [B, H, W]. For an image within one bin, -1: all is bright.
    """
    index = (grey * bins).long().clamp(max=bins - 1)
    flat = index.flatten(1)
    count = torch.zeros((len(grey), bins), dtype=torch.long, device=grey.device)
    count = count.scatter_add(1, flat, torch.ones_like(flat))
    dark = count.cumsum(dim=1)
    moment = (count * torch.arange(bins, device=grey.device)).cumsum(dim=1)
    total, mass = dark[:, -1:].double(), moment[:, -1:].double()
    w0, m0 = dark.double(), moment.double()
    w1, m1 = total - w0, mass - m0
    between = w0 * w1 * (m0 / w0.clamp(min=1) - m1 / w1.clamp(min=1)).square()
    best, at = between.max(dim=1)
    first = (between == best[:, None]).long().argmax(dim=1)
    return torch.where(best > 0, first, torch.full_like(at, -1)), index


def filled(mask: Tensor) -> Tensor:
    """Fill a mask: a pixel is in if the mask lies on both of its sides in its row, and in its column.

    This closes every hole, and the lungs too where the chest wall around them is open by a few pixels; what
    lies beside the body stays out. It takes four reductions instead of a flood of unknown length.

    Args:
        mask: bool [B, H, W].

    Returns:
        Bool [B, H, W], containing the mask.
    """
    inside = torch.ones_like(mask)
    for dim in (1, 2):
        length = mask.shape[dim]
        place = torch.arange(length, device=mask.device, dtype=torch.int32)
        place = place[:, None] if dim == 1 else place
        first = torch.where(mask, place, length).amin(dim=dim, keepdim=True)
        last = torch.where(mask, place, -1).amax(dim=dim, keepdim=True)
        inside = inside & (place >= first) & (place <= last)
    return inside


def body_mask(grey: Tensor, *, bins: int = BINS, fill: bool = True) -> Tensor:
    """Find the body.

    Args:
        grey: [B, H, W] in [0, 1], see :func:`stretched`.
        bins: of the histogram.
        fill: whether to fill the mask (:func:`filled`).

    Returns:
        Bool [B, H, W], never empty: the brightest pixels are in it. A constant image is all body.
    """
    threshold, index = otsu_bin(grey, bins)
    bright = index > threshold[:, None, None]
    return filled(bright) if fill else bright
