"""An encoder's two sides, asked together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from g2d_bench.adapters.base import NotApplicable
from g2d_bench.adapters.text_image import TextImage, chosen
from g2d_bench.encoders.load import Encoder

TEXTS = ["There is pneumonia.", "There is no pneumonia.", "left lung"]


def test_without_a_text_side_it_says_why(narrow: Callable[..., Encoder]) -> None:
    encoder = narrow()
    with pytest.raises(NotApplicable, match="no text encoder in the weights that were read"):
        TextImage.of(replace(encoder, text=None))
    with pytest.raises(NotApplicable, match="no text encoder"):
        TextImage.of(replace(encoder, heads=None))


@pytest.mark.parametrize("method", ["convirt", "gloria"])
def test_a_text_does_not_depend_on_those_beside_it(narrow: Callable[..., Encoder], method: str) -> None:
    model = TextImage.of(narrow(method))
    assert model.method == method
    together = model.embed_texts(TEXTS)
    for row, text in enumerate(TEXTS):
        alone = model.embed_texts([text])
        assert torch.allclose(together.vector[row], alone.vector[0], atol=1e-5)


def test_texts_in_another_order(narrow: Callable[..., Encoder]) -> None:
    model = TextImage.of(narrow("gloria"))
    texts = model.embed_texts(TEXTS)
    turned = chosen(texts, torch.tensor([2, 0, 0]))
    for part, other in zip(texts, turned, strict=True):
        assert (part is None) == (other is None)
        if part is not None and other is not None:
            assert torch.equal(other[0], part[2])
            assert torch.equal(other[1], other[2])


def test_the_state_names_every_part_and_sees_each_change(narrow: Callable[..., Encoder]) -> None:
    model = TextImage.of(narrow())
    before = model.state()
    assert set(before) == {"image", "text", "heads", "vocabulary"}
    assert model.state() == before
    with torch.no_grad():
        next(model.heads.parameters()).add_(1)
    after = model.state()
    assert {name for name in before if before[name] != after[name]} == {"heads"}
