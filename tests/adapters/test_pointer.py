"""Who is asked where something is, and in what order it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from g2d_bench.adapters import by_scorer
from g2d_bench.adapters.base import NotApplicable
from g2d_bench.adapters.pointer import Pointer
from g2d_bench.encoders.heads.base import ImageEmbedding, TextEmbedding
from g2d_bench.errors import InputError


class Both:
    """Images are their numbers, texts their lengths; a map is the product of both."""

    heads = SimpleNamespace(local_map=lambda image, text: image.cells[:, 0] * text.vector[:, 0, None, None])

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding:
        return TextEmbedding(torch.tensor([[float(len(text))] for text in texts]))

    def embed_images(self, job: Any, ids: Sequence[str], *, cells: bool) -> Iterator[Any]:
        assert cells
        for start in range(0, len(ids), 2):
            some = ids[start : start + 2]
            self.embedded += some
            values = torch.tensor([float(name) for name in some])
            yield slice(start, start + 2), ImageEmbedding(values[:, None], values[:, None, None, None])


@pytest.fixture
def pointer() -> Pointer:
    job: Any = SimpleNamespace(encoder=SimpleNamespace(card=SimpleNamespace(name="mine")))
    both: Any = Both()
    return Pointer(job, both)


ASKED = [("3", "ab"), ("1", "abcd"), ("2", "ab"), ("3", "abcd"), ("4", "abcd"), ("1", "ab")]


def test_maps_are_in_the_order_of_what_is_asked_and_images_embedded_once(pointer: Pointer) -> None:
    both: Any = pointer.both
    heats = pointer.by_phrases(ASKED)
    assert [heat.item() for heat in heats] == [6, 4, 4, 12, 16, 2]
    assert both.embedded == ["3", "1", "2", "4"]


def test_of_several_prompts_the_mean_map_is_taken(pointer: Pointer) -> None:
    heats = pointer.by_prompts(ASKED, {"ab": ["a", "abc"], "abcd": ["abcd"]})
    assert [heat.item() for heat in heats] == [6, 4, 4, 12, 16, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_named(pointer: Pointer, value: float) -> None:
    both: Any = pointer.both
    both.embed_texts = lambda texts: TextEmbedding(
        torch.tensor([[value if text == "ab" else 1.0] for text in texts])
    )
    message = "map of mine: has NaN or infinity for 'ab' on image 3; see what the encoder gives of it"
    with pytest.raises(InputError, match=message):
        pointer.by_phrases(ASKED)
    with pytest.raises(InputError, match=message):
        pointer.by_prompts(ASKED, {"ab": ["ab", "a"], "abcd": ["abcd"]})


def test_a_scorer_goes_before_a_text_side(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def heats(job: Any, pairs: Any) -> list[str]:
        asked.extend(pairs)
        return ["maps"]

    monkeypatch.setattr(by_scorer, "heats", heats)
    monkeypatch.setattr(by_scorer, "state", lambda job: {"scorer": "s"})
    job: Any = SimpleNamespace(encoder=SimpleNamespace(scorer=object()))
    pointer = Pointer.of(job)
    assert pointer.by_prompts([("1", "a")], {"a": ["x", "y"]}) == pointer.by_phrases([("2", "z")]) == ["maps"]
    assert asked == [("1", ["x", "y"]), ("2", ("z",))]
    assert pointer.state() == {"scorer": "s"}
    job.encoder = SimpleNamespace(
        scorer=None, text=None, heads=None, card=SimpleNamespace(text=None), no_text=""
    )
    with pytest.raises(NotApplicable, match="no text encoder"):
        Pointer.of(job)
