"""Grey values of one image, made independent of how bright and how contrasted it was shown."""

from __future__ import annotations

from torch import Tensor

FLAT = 1e-3
"""Least deviation that is divided by: an image of one grey value becomes zeros."""


def standardised(grey: Tensor) -> Tensor:
    """Take each image less its own mean, over its own standard deviation (of all its pixels).

    Args:
        grey: [B, 1, S, S] in [0, 1].

    Returns:
        [B, 1, S, S], of mean 0 and deviation 1.
    """
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    spread = grey.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (grey - mean) / spread.clamp_min(FLAT)
