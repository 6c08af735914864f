"""Random scaling and rotation of training images with their masks, as in published segmentation protocols."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DEGREES = 10.0
SCALE = 0.1
CHANCE = 0.5
"""Of an image to be turned by up to ``DEGREES`` and scaled by up to ``SCALE`` (MGCA)."""


class Warps:
    """Draws how each training image is turned and scaled; the same draws for the same seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self) -> tuple[float, float]:
        """Return an angle in radians and a scale; 0 and 1 for an image that stays as it is."""
        happens, angle, scale = torch.rand(3, generator=self._generator, dtype=torch.float64).tolist()
        if happens >= CHANCE:
            return 0.0, 1.0
        return math.radians(DEGREES) * (2 * angle - 1), 1.0 + SCALE * (2 * scale - 1)


def warp(images: Tensor, angle: Tensor, scale: Tensor, *, nearest: bool = False) -> Tensor:
    """Turn and scale about the centre; what comes in from beyond the edge is 0.

    Args:
        images: float [B, C, S, S].
        angle: radians, [B]; positive turns clockwise.
        scale: [B]; above 1 enlarges.
        nearest: take the nearest pixel instead of the bilinear mean.

    Returns:
        As ``images``; those of angle 0 and scale 1 come back as they were.
    """
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    zero = torch.zeros_like(cosine)
    # Where each pixel of the result comes from.
    rows = torch.stack([torch.stack([cosine, sine, zero], 1), torch.stack([-sine, cosine, zero], 1)], 1)
    # Around a network that computes by halves, a grid of halves would move pixels by up to one.
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(rows.to(images.dtype), list(images.shape), align_corners=False)
        moved = F.grid_sample(images, grid, mode="nearest" if nearest else "bilinear", align_corners=False)
    still = ((angle == 0) & (scale == 1)).view(-1, 1, 1, 1)
    return torch.where(still, images, moved)
