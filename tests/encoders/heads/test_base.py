"""Heads: what is compared with what, and with which weight."""

from __future__ import annotations

import pytest
import torch
from image_text import INDEX, SHAPE, inputs

from g2d_bench.encoders.heads.base import Heads, TextEmbedding, in_range, unit
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.text import TextStates


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


def test_half_precision_vectors_are_compared_in_single() -> None:
    similarity = Heads.global_similarity(torch.full((2, 4), 6e4).half(), torch.full((1, 4), 1e-3).bfloat16())
    assert similarity.dtype == torch.float32
    torch.testing.assert_close(similarity, torch.ones(2, 1))


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-9, 1e20, 1e30])
def test_the_direction_of_a_vector_does_not_depend_on_its_length(scale: float) -> None:
    vectors = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit(in_range(vectors * scale)), unit(vectors), atol=1e-6, rtol=1e-5)
    cells = vectors.view(1, 8, 2, 2)
    torch.testing.assert_close(unit(in_range(cells * scale, dim=1), dim=1), unit(cells, dim=1))
    mixed = in_range(torch.cat([vectors, vectors * scale]))
    assert torch.equal(mixed[:4], vectors)


def test_vectors_of_usual_length_and_zeros_are_left_alone() -> None:
    vectors = torch.tensor([[1.0, -3.0], [1e-6, 0.0], [0.0, 0.0], [1e14, 1.0]])
    assert in_range(vectors) is vectors
