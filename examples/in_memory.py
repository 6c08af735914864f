"""Measure two models that are in memory on three tasks: a torchvision ResNet-18 and a toy CLIP.

Both have random weights: they show how a model is handed over, not how good one is. Run it as

    python examples/in_memory.py

The first run generates the radiographs (minutes); after that it takes less than a minute on two cores.
Tasks that need what a model lacks are n/a and say why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

import g2d_bench as gb

TASKS = ("rsna-cls", "rsna-zeroshot", "rsna-ground")


def resnet() -> nn.Module:
    """Return a ResNet-18 that gives the maps of its four stages; their mean is the pooled vector."""
    torch.manual_seed(0)
    stages = {f"layer{n}": f"layer{n}" for n in (1, 2, 3, 4)}
    return create_feature_extractor(resnet18(weights=None), stages)


class ToyCLIP(nn.Module):
    """An image and a text side that share a space; the text side knows nothing but letters."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Sequential(nn.Conv2d(3, 32, 8, stride=8), nn.ReLU(), nn.Conv2d(32, dim, 1))
        self.letters = nn.Embedding(128, dim)

    def encode_cells(self, images: Tensor) -> Tensor:
        """Project the cells of images [B, 3, S, S] to [B, d, h, w], which grounding asks for."""
        return self.image(images)

    def encode_image(self, images: Tensor) -> Tensor:
        """Project images [B, 3, S, S] to vectors [B, d]."""
        return self.encode_cells(images).mean(dim=(2, 3))

    def encode_text(self, texts: list[str]) -> Tensor:
        """Project texts to vectors [B, d]."""
        device = self.letters.weight.device
        codes = [torch.tensor([min(ord(letter), 127) for letter in text]) for text in texts]
        return torch.stack([self.letters(code.to(device)).mean(dim=0) for code in codes])


def compare(tasks: Sequence[str] = TASKS, fraction: float = 0.01, size: int = 64) -> gb.Results:
    """Measure both models on some tasks."""
    spec = gb.ImageSpec(size, mean=0.5, std=0.25)
    results = [
        gb.evaluate(model, tasks, spec=spec, name=name, fractions=[fraction])
        for name, model in (("resnet18", resnet()), ("toy-clip", ToyCLIP()))
    ]
    return results[0] + results[1]


if __name__ == "__main__":
    start = time.monotonic()
    results = compare()
    frame = results.frame()
    print(frame[["task", "encoder", "metric", "value", "low", "high", "reason"]].to_string(index=False))
    print(results.table())
    print(f"{len(results)} cells in {time.monotonic() - start:.0f} s")
