"""Edge-preserving smoothing of masks: a bilateral filter, batched, by shifts of whole images."""

from __future__ import annotations

import torch
from torch import Tensor

_CACHED = 1 << 18  # values: a megabyte, about a core's cache


def bilateral(
    values: Tensor, guide: Tensor, *, window: int, sigma_color: float, sigma_space: float
) -> Tensor:
    """Average each pixel with its neighbours, those near and of like brightness most.

    ``out(p) = sum_q w(p, q) v(q) / sum_q w(p, q)``, the sums over the pixels q of the image in the square
    window around p, with ``w = exp(-|p - q|^2 / 2 sigma_space^2 - (g(p) - g(q))^2 / 2 sigma_color^2)``
    (Tomasi and Manduchi 1998; with another image as guide, Petschnigg et al. 2004). Neighbours beyond the
    edge of the image do not count.

    Args:
        values: v, [B, H, W].
        guide: g, [B, H, W], of the same type.
        window: side of the square, odd, pixels.
        sigma_color: in the units of the guide.
        sigma_space: pixels.

    Returns:
        [B, H, W], of the type of ``values``.
    """
    if values.device.type == "cpu" and len(values) > 1:
        # Whole images at a time, but few: what stays in the processor's cache takes half the time.
        few = max(1, _CACHED // values[0].numel())
        if few < len(values):
            parts = zip(_parts(values, few), _parts(guide, few), strict=True)
            return torch.cat([_bilateral(v, g, window // 2, sigma_color, sigma_space) for v, g in parts])
    return _bilateral(values, guide, window // 2, sigma_color, sigma_space)


def _bilateral(values: Tensor, guide: Tensor, reach: int, sigma_color: float, sigma_space: float) -> Tensor:
    total, weight = values.clone(), torch.ones_like(values)
    height, width = values.shape[1:]
    down, aside = min(reach, height - 1), min(reach, width - 1)
    # Weights are symmetric: each pair of pixels is visited once, for half of the shifts.
    for dy in range(down + 1):
        for dx in range(-aside, aside + 1):
            if (dy, dx) <= (0, 0):
                continue
            here = (slice(None), slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
            there = (slice(None), slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
            space = -(dy * dy + dx * dx) / (2 * sigma_space**2)
            step = guide[here] - guide[there]
            pair = step.mul_(step).mul_(-0.5 / sigma_color**2).add_(space).exp_()
            total[here].addcmul_(pair, values[there])
            total[there].addcmul_(pair, values[here])
            weight[here].add_(pair)
            weight[there].add_(pair)
    return total.div_(weight)


def _parts(images: Tensor, few: int) -> list[Tensor]:
    return [images[start : start + few] for start in range(0, len(images), few)]
