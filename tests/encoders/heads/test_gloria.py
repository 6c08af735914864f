"""GLoRIA's heads."""

from __future__ import annotations

from typing import Any

import torch
from image_text import INDEX, SHAPE, TEXT, inputs, words_of

from g2d_bench.encoders.heads.base import unit
from g2d_bench.encoders.heads.gloria import GLoRIAHeads
from g2d_bench.encoders.heads.make import make_heads


def test_gloria_sums_four_layers_and_word_pieces() -> None:
    features, states, tokens = inputs()
    heads = GLoRIAHeads(10, TEXT, 8)
    embeddings = heads(features, states, tokens)
    assert embeddings.text_local is not None
    assert embeddings.text_mask is not None
    summed = states.hidden[2] + states.hidden[3] + states.hidden[4] + states.hidden[5]
    for row in range(3):
        words = words_of(row)[:-1]
        assert embeddings.text_mask[row].tolist() == [n < len(words) for n in range(5)]
        for n, positions in enumerate(words):
            expected = torch.stack([summed[row, t] for t in positions]).sum(dim=0)
            torch.testing.assert_close(embeddings.text_local[row, n], expected)
        # The released code averages over 97 positions, all but the tokens zero: the same direction.
        released = torch.stack([summed[row, t] for t in range(7) if INDEX[row, t] >= 0]).sum(dim=0) / 97
        torch.testing.assert_close(unit(embeddings.text_global[row]), unit(released))
    assert embeddings.image_local is not None
    cell = heads.local_embedder.weight[:, :, 0, 0] @ features.pyramid[1][2, :, 1, 0]
    torch.testing.assert_close(embeddings.image_local[2, :, 1, 0], cell)


def test_gloria_with_few_layers_leaves_the_embeddings_out() -> None:
    _, states, tokens = inputs()
    few = states._replace(hidden=states.hidden[:3])
    vector = GLoRIAHeads(10, TEXT, 8).embed_text(few, tokens).vector
    torch.testing.assert_close(vector[1], (few.hidden[1] + few.hidden[2])[1, :2].mean(dim=0))


def test_vit_compares_with_its_last_map() -> None:
    same: dict[str, Any] = SHAPE | {"strides": (16, 16, 16)}
    heads = make_heads("gloria", **same)
    assert isinstance(heads, GLoRIAHeads)
    assert heads.level == -1
    assert heads.local_embedder.in_channels == 10
