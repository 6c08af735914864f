"""What an image and a text encoder of no model give, for heads to be put on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.text import TextStates

WIDTH, TEXT = (6, 8, 10), 12
SHAPE: dict[str, Any] = {"channels": WIDTH, "strides": (8, 16, 32), "num_features": 10, "text_width": TEXT}
# Words: [CLS], one of one piece, one of three, [SEP]; then an empty text; then one that fills every position.
INDEX = torch.tensor([[0, 1, 2, 2, 2, 3, -1], [0, 1, -1, -1, -1, -1, -1], [0, 1, 2, 3, 4, 4, 5]])


def inputs(seed: int = 0) -> tuple[ImageFeatures, TextStates, dict[str, Tensor]]:
    """Return features of three images, states of three texts, and the numbers of their words."""
    torch.manual_seed(seed)
    pyramid = [torch.randn(3, width, size, size) for width, size in zip(WIDTH, (4, 3, 2), strict=True)]
    mask = INDEX >= 0
    attention = torch.rand(3, 2, 7, 7).masked_fill(~mask[:, None, None], 0)
    attention = attention / attention.sum(dim=-1, keepdim=True)
    hidden = tuple(torch.randn(3, 7, TEXT) for _ in range(6))
    features = ImageFeatures(pyramid, pyramid[-1].mean(dim=(2, 3)))
    return features, TextStates(hidden, attention, mask), {"word_index": INDEX}


def words_of(row: int) -> list[list[int]]:
    """Return the token positions of each word of a text."""
    numbers = INDEX[row].tolist()
    return [[t for t, number in enumerate(numbers) if number == word] for word in range(max(numbers) + 1)]
