"""ConVIRT's heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from g2d_bench.encoders.heads.convirt import ConVIRTHeads
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.text import TextStates
from g2d_bench.errors import InputError

WIDTH, TEXT = (6, 8, 10), 12
SHAPE: dict[str, Any] = {"channels": WIDTH, "strides": (8, 16, 32), "num_features": 10, "text_width": TEXT}
# Words: [CLS], one of one piece, one of three, [SEP]; then an empty text; then one that fills every position.
INDEX = torch.tensor([[0, 1, 2, 2, 2, 3, -1], [0, 1, -1, -1, -1, -1, -1], [0, 1, 2, 3, 4, 4, 5]])


def inputs(seed: int = 0) -> tuple[ImageFeatures, TextStates, dict[str, Tensor]]:
    torch.manual_seed(seed)
    pyramid = [torch.randn(3, width, size, size) for width, size in zip(WIDTH, (4, 3, 2), strict=True)]
    mask = INDEX >= 0
    attention = torch.rand(3, 2, 7, 7).masked_fill(~mask[:, None, None], 0)
    attention = attention / attention.sum(dim=-1, keepdim=True)
    hidden = tuple(torch.randn(3, 7, TEXT) for _ in range(6))
    features = ImageFeatures(pyramid, pyramid[-1].mean(dim=(2, 3)))
    return features, TextStates(hidden, attention, mask), {"word_index": INDEX}


def test_convirt_takes_the_maximum_over_tokens() -> None:
    features, states, tokens = inputs()
    heads = ConVIRTHeads(10, TEXT, dim=7)
    for row in range(3):
        count = int(states.mask[row].sum())
        pooled = torch.stack([max(states.hidden[-1][row, :count, k]) for k in range(TEXT)])
        torch.testing.assert_close(heads.embed_text(states, tokens).vector[row], heads.text(pooled))
    image = heads.eval().embed_image(features)
    assert image.cells is not None
    torch.testing.assert_close(image.cells[1, :, 0, 1], heads.image(features.pyramid[-1][1, :, 0, 1]))
    training = heads.train().embed_image(features)
    assert training.cells is None
    with pytest.raises(ValueError, match=r"call eval\(\) first"):
        heads.local_map(training, heads.embed_text(states, tokens))


def test_convirt_pooling_is_known() -> None:
    with pytest.raises(InputError, match=r"heads\.pooling: must be max or pooler, not 'mean'"):
        make_heads("convirt", **SHAPE, pooling="mean")
