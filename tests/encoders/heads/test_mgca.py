"""MGCA's heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from image_text import INDEX, SHAPE, TEXT, inputs, words_of

from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.heads.mgca import MGCAHeads, clipped_shares
from g2d_bench.encoders.text import TextStates


def loop_shares(attention: list[float]) -> list[float]:
    low, high = (float(np.quantile(attention, share)) for share in (0.1, 0.9))
    clipped = [min(max(value, low), high) for value in attention]
    return [value / sum(clipped) for value in clipped]


def test_mgca_aligned_words_and_weights() -> None:
    features, states, tokens = inputs()
    heads = MGCAHeads(10, TEXT, 8, dim=5, hidden=9).eval()
    embeddings = heads(features, states, tokens)
    assert states.attention is not None
    assert embeddings.text_local is not None
    assert embeddings.text_mask is not None
    assert embeddings.text_weights is not None
    paid = states.attention[:, :, 0].mean(dim=1)
    for row in range(3):
        words = words_of(row)[1:-1]
        assert embeddings.text_mask[row].tolist() == [n < len(words) for n in range(5)]
        for n, positions in enumerate(words):
            summed = states.hidden[-1][row, positions].sum(dim=0, keepdim=True)
            torch.testing.assert_close(embeddings.text_local[row, n], heads.text_local(summed)[0])
        if words:
            expected = loop_shares([float(paid[row, positions].sum()) for positions in words])
            assert embeddings.text_weights[row, : len(words)].tolist() == pytest.approx(expected, rel=1e-5)
        assert not embeddings.text_weights[row, len(words) :].any()
        torch.testing.assert_close(
            embeddings.text_global[row], heads.text_global(states.hidden[-1][row, :1])[0]
        )


def test_mgca_shifted_words_and_weights() -> None:
    _, states, tokens = inputs()
    heads = MGCAHeads(10, TEXT, 8, dim=5, hidden=9, word_weights="shifted", max_length=7).eval()
    text = heads.embed_text(states, tokens)
    assert text.mask is not None
    assert text.weights is not None
    assert states.attention is not None
    paid = states.attention[:, :, 0].mean(dim=1)
    for row in range(3):
        words = words_of(row)[1:]
        if row == 2:  # fills all positions: the walk ends before its last word is closed
            words = words[:-2]
        assert int(text.mask[row].sum()) == len(words)
        # Token t is given what token t + 1 is paid; behind the last token there is nothing.
        given = [sum(float(paid[row, t + 1]) if t < 6 else 0.0 for t in positions) for positions in words]
        positive = [value for value in given if value > 0]
        expected = loop_shares(positive) if positive else []
        assert text.weights[row, : len(positive)].tolist() == pytest.approx(expected, rel=1e-5)
        assert not text.weights[row, len(positive) :].any()


def test_mgca_statistics_see_words_only_unless_released() -> None:
    _, states, tokens = inputs()
    means = []
    for pads in (False, True):
        torch.manual_seed(4)
        heads = MGCAHeads(10, TEXT, 8, dim=5, hidden=9, pads=pads).train()
        text = heads.embed_text(states, tokens)
        assert text.words is not None
        assert text.mask is not None
        means.append(text.words[text.mask].mean(dim=0).abs().max().item())
        assert bool(text.words[~text.mask].any()) == pads
    assert means[0] < 1e-5 < 1e-3 < means[1]


def test_mgca_of_texts_without_a_word() -> None:
    features, states, _ = inputs()
    index = INDEX[1:2].expand(3, -1)
    empty = TextStates(states.hidden, states.attention, index >= 0)
    for method in ("gloria", "mgca"):
        heads = make_heads(method, **SHAPE).train()
        embeddings = heads(features, empty, {"word_index": index})
        assert all(part is None or part.isfinite().all() for part in embeddings)
    assert embeddings.text_weights is not None
    assert not embeddings.text_weights.any()


def test_mgca_needs_attention() -> None:
    _, states, tokens = inputs()
    with pytest.raises(ValueError, match="needs the attention"):
        make_heads("mgca", **SHAPE).embed_text(states._replace(attention=None), tokens)


def test_shares_of_equal_and_of_no_attention() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False], [False] * 3, [True] * 3])
    shares = clipped_shares(torch.tensor([[0.2, 0.2, 9.0], [0.1, 1, 1], [1, 1, 1], [0.0, 0, 0]]), mask)
    assert shares.tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]
