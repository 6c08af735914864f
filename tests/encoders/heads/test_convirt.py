"""ConVIRT's heads."""

from __future__ import annotations

import pytest
import torch
from image_text import SHAPE, TEXT, inputs

from g2d_bench.encoders.heads.convirt import ConVIRTHeads
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError


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
