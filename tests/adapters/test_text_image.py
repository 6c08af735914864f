"""An encoder's two sides, asked together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from g2d_bench.adapters import text_image
from g2d_bench.adapters.base import NotApplicable
from g2d_bench.adapters.text_image import TextImage, chosen
from g2d_bench.encoders.heads.base import ImageEmbedding, TextEmbedding
from g2d_bench.encoders.load import Encoder
from g2d_bench.errors import InputError

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


def test_vectors_of_zeros_are_refused(
    narrow: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TextImage.of(narrow())
    given = torch.tensor([[1e30, 0.0], [0.0, 0.0]])
    heads: Any = SimpleNamespace(bare_words=False, embed_text=lambda *_: TextEmbedding(given[:1]))
    both = replace(model, heads=heads)
    assert both.embed_texts(TEXTS[:1]).vector.tolist() == [[1.0, 0.0]]
    heads.embed_text = lambda *_: TextEmbedding(given)
    with pytest.raises(InputError, match=r": gives 1 texts or more a vector of zeros"):
        both.embed_texts(TEXTS[:2])

    def images(*_: Any, cells: bool, **__: Any) -> Any:
        yield slice(0, 2), ImageEmbedding(given, given[:, :, None, None] if cells else None)

    monkeypatch.setattr(text_image, "image_embeddings", images)
    monkeypatch.setattr(text_image, "pixels_content", lambda *_, **__: "")
    table = SimpleNamespace(pixels=None, rows=list)
    job: Any = SimpleNamespace(data=SimpleNamespace(pixels=lambda *_: table, manifest=None))
    with pytest.raises(InputError, match=r": gives 1 images or more a vector of zeros"):
        list(both.embed_images(job, ["a", "b"], cells=False))
    [(_, found)] = both.embed_images(job, ["a", "b"], cells=True)
    assert found.cells is not None
    assert found.cells[:, :, 0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]
