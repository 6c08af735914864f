"""Scores by brightness: the words of a prompt decide which half of the film counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Bright:
    """Brighter is more of whatever is asked; a prompt with "no" turns it round."""

    def score(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Mean grey value of each image, for or against."""
        light = images.mean(dim=(1, 2, 3))
        signs = [-1.0 if "no " in f"{text.lower()} " else 1.0 for text in prompts]
        return light[:, None] * torch.tensor(signs, device=images.device)

    def heat(self, images: Tensor, phrases: list[str]) -> Tensor:
        """Means of 8 x 8 fields."""
        return torch.nn.functional.adaptive_avg_pool2d(images.mean(dim=1), 8)


def SCORER(card: Any, file: Path | None, device: torch.device) -> Bright:
    """Make it: nothing is loaded."""
    return Bright()
