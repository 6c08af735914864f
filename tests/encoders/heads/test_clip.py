"""Heads of any CLIP."""

from __future__ import annotations

import pytest
import torch

from g2d_bench.encoders.heads.clip import POOLINGS, ClipHeads, pooled
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.text import TextStates
from g2d_bench.errors import InputError

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def test_poolings_are_those_of_a_loop() -> None:
    torch.manual_seed(0)
    last = torch.randn(2, 4, 5)
    for row, count in enumerate((3, 2)):
        tokens = [last[row, n] for n in range(count)]
        wanted = {
            "cls": tokens[0],
            "eos": tokens[-1],
            "mean": sum(tokens, torch.zeros(5)) / count,
            "max": torch.stack(tokens).max(dim=0).values,
        }
        # The pooler's vector is the model's own and made of no tokens.
        for how in (name for name in POOLINGS if name != "pooler"):
            torch.testing.assert_close(pooled(last, MASK, how)[row], wanted[how])


def test_linear_heads_give_vectors_and_cells() -> None:
    torch.manual_seed(0)
    heads = ClipHeads(6, 5, dim=3, bias=False).eval()
    assert [*heads.state_dict()] == ["image.weight", "text.weight"]
    last = torch.randn(2, 6, 4, 4)
    image = heads.embed_image(ImageFeatures([torch.zeros(2, 3, 8, 8), last], last.mean((2, 3))))
    assert image.cells is not None
    # The projection of a mean is the mean of the projections.
    torch.testing.assert_close(image.cells.mean((2, 3)), image.vector)
    states = torch.randn(2, 4, 5)
    text = heads.embed_text(TextStates((states,), None, MASK), {})
    torch.testing.assert_close(text.vector, states[:, 0] @ heads.state_dict()["text.weight"].T)


def test_no_cells_where_they_are_not_as_wide_as_the_vector() -> None:
    heads = ClipHeads(6, 5, dim=3).eval()
    assert heads.embed_image(ImageFeatures([torch.zeros(2, 4, 2, 2)], torch.zeros(2, 6))).cells is None
    assert heads.embed_image(ImageFeatures([], torch.zeros(2, 6))).cells is None


def test_an_unknown_pooling() -> None:
    with pytest.raises(InputError, match="must be one of cls, mean, eos, max"):
        ClipHeads(6, 5, pooling="first")  # type: ignore[arg-type]


def test_several_layers_are_averaged() -> None:
    """As MedCLIP's text side: the mean over tokens of layers 1, 2 and the last, then over these."""
    torch.manual_seed(2)
    heads = ClipHeads(6, 5, dim=3, bias=False, pooling="mean", layers=[1, 2, -1]).eval()
    hidden = tuple(torch.randn(2, 4, 5) for _ in range(5))
    text = heads.embed_text(TextStates(hidden, None, MASK), {})
    mean = sum((pooled(hidden[n], MASK, "mean") for n in (1, 2, 4)), torch.zeros(2, 5)) / 3
    torch.testing.assert_close(text.vector, mean @ heads.state_dict()["text.weight"].T)
    with pytest.raises(InputError, match="has layers up to 1"):
        heads.embed_text(TextStates(hidden[:2], None, MASK), {})
    with pytest.raises(InputError, match="names no layer"):
        ClipHeads(6, 5, layers=[])
