"""Edge-preserving smoothing of masks: a bilateral filter, batched, by shifts of whole images."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
        guide: g, [B, H, W].
        window: side of the square, odd, pixels.
        sigma_color: in the units of the guide.
        sigma_space: pixels.

    Returns:
        [B, H, W], of the type of ``values``.
    """
    total, weight = values.clone(), torch.ones_like(values)
    reach = window // 2
    height, width = values.shape[1:]
    # Weights are symmetric: each pair of pixels is visited once, for half of the shifts.
    for dy in range(min(reach, height - 1) + 1):
        for dx in range(-min(reach, width - 1), min(reach, width - 1) + 1):
            if (dy, dx) <= (0, 0):
                continue
            here = (slice(None), slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
            there = (slice(None), slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
            space = math.exp(-(dy * dy + dx * dx) / (2 * sigma_space**2))
            pair = torch.exp((guide[here] - guide[there]).square() * (-0.5 / sigma_color**2)) * space
            total[here] += pair * values[there]
            total[there] += pair * values[here]
            weight[here] += pair
            weight[there] += pair
    return total / weight
