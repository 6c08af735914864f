"""Heads: what is compared with what, and with which weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from g2d_bench.encoders.heads.base import Heads, TextEmbedding, unit
from g2d_bench.encoders.heads.convirt import ConVIRTHeads
from g2d_bench.encoders.heads.gloria import GLoRIAHeads
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.heads.mgca import MGCAHeads, clipped_shares
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


def words_of(row: int) -> list[list[int]]:
    """Return the token positions of each word of a text."""
    numbers = INDEX[row].tolist()
    return [[t for t, number in enumerate(numbers) if number == word] for word in range(max(numbers) + 1)]


@pytest.mark.parametrize("method", ["convirt", "gloria", "mgca"])
def test_maps_are_cosines_and_texts_do_not_mix(method: str) -> None:
    features, states, tokens = inputs()
    heads = make_heads(method, **SHAPE).eval()
    image, text = heads.embed_image(features), heads.embed_text(states, tokens)
    maps = heads.local_map(image, text)
    assert maps.shape == ((3, 2, 2) if method == "convirt" else (3, 3, 3))
    assert maps.abs().max() <= 1
    similarity = heads.global_similarity(image.vector, text.vector)
    reference = torch.nn.functional.cosine_similarity(image.vector[:, None], text.vector[None], dim=2)
    torch.testing.assert_close(similarity, reference)
    one = TextStates(
        tuple(h[2:] for h in states.hidden),
        None if states.attention is None else states.attention[2:],
        states.mask[2:],
    )
    alone = heads.embed_text(one, {"word_index": INDEX[2:]})
    torch.testing.assert_close(alone.vector, text.vector[2:])
    third = ImageFeatures([level[2:] for level in features.pyramid], features.pooled[2:])
    torch.testing.assert_close(heads.local_map(heads.embed_image(third), alone), maps[2:])


@pytest.mark.parametrize("method", ["convirt", "gloria", "mgca"])
def test_what_pads_hold_changes_nothing(method: str) -> None:
    _, states, tokens = inputs()
    heads = make_heads(method, **SHAPE).train()
    filled = tuple(torch.where(states.mask[..., None], h, torch.full_like(h, 50.0)) for h in states.hidden)
    first, second = heads.embed_text(states, tokens), heads.embed_text(states._replace(hidden=filled), tokens)
    for one, other in zip(first, second, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)


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


def test_local_map_is_the_weighted_mean_of_cosines() -> None:
    features, states, tokens = inputs()
    heads = make_heads("mgca", **SHAPE).eval()
    image, text = heads.embed_image(features), heads.embed_text(states, tokens)
    assert image.cells is not None
    assert text.words is not None
    assert text.weights is not None
    maps = heads.local_map(image, text)
    cell = unit(image.cells[2, :, 1, 2])
    cosines = torch.stack([unit(text.words[2, n]) @ cell for n in range(4)])
    expected = (text.weights[2, :4] * cosines).sum()
    torch.testing.assert_close(maps[2, 1, 2], expected)
    assert not maps[1].any()
    plain = heads.local_map(image, TextEmbedding(text.vector, text.words, text.mask))
    cell = unit(image.cells[0, :, 0, 0])
    expected = (unit(text.words[0, 0]) @ cell + unit(text.words[0, 1]) @ cell) / 2
    torch.testing.assert_close(plain[0, 0, 0], expected)


def test_shares_of_equal_and_of_no_attention() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False], [False] * 3, [True] * 3])
    shares = clipped_shares(torch.tensor([[0.2, 0.2, 9.0], [0.1, 1, 1], [1, 1, 1], [0.0, 0, 0]]), mask)
    assert shares.tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]


def test_half_precision_vectors_are_compared_in_single() -> None:
    similarity = Heads.global_similarity(torch.full((2, 4), 6e4).half(), torch.full((1, 4), 1e-3).bfloat16())
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity, torch.ones(2, 1))


def test_vit_compares_with_its_last_map() -> None:
    same: dict[str, Any] = SHAPE | {"strides": (16, 16, 16)}
    heads = make_heads("gloria", **same)
    assert isinstance(heads, GLoRIAHeads)
    assert heads.level == -1
    assert heads.local_embedder.in_channels == 10


def test_wrong_method_and_option() -> None:
    with pytest.raises(InputError, match="did you mean 'mgca'"):
        make_heads("mcga", **SHAPE)
    with pytest.raises(InputError, match="heads of convirt: got an unexpected keyword argument 'hidden'"):
        make_heads("convirt", **SHAPE, hidden=3)


def test_convirt_pooling_is_known() -> None:
    with pytest.raises(InputError, match=r"heads\.pooling: must be max or pooler, not 'mean'"):
        make_heads("convirt", **SHAPE, pooling="mean")
