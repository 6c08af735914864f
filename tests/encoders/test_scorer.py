"""Making a scorer: what a package may hand over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from g2d_bench.cards.scorer import SCORERS
from g2d_bench.encoders.scorer import heat_of, make_scorer, scores_of
from g2d_bench.errors import InputError

CARD: Any = SimpleNamespace(scorer="mine")
CPU = torch.device("cpu")


def declare(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    monkeypatch.setitem(SCORERS._found, "mine", make)


def test_it_gets_card_file_and_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    got: list[Any] = []

    def make(*given: Any) -> Any:
        got.extend(given)
        return SimpleNamespace(score=lambda images, prompts: torch.ones(len(images), len(prompts)))

    declare(monkeypatch, make)
    made = make_scorer(CARD, tmp_path, CPU)
    assert got == [CARD, tmp_path, CPU]
    assert scores_of(made, "mine", torch.zeros(2, 3, 4, 4), ["a"]).dtype == torch.float64


def test_one_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*given: Any) -> Any:
        raise RuntimeError("no such layer\nand more")

    declare(monkeypatch, breaks)
    with pytest.raises(InputError, match=r"^scorer mine: cannot be made: no such layer$"):
        make_scorer(CARD, None, CPU)
    declare(monkeypatch, lambda *given: object())
    with pytest.raises(InputError, match=r"has no score\(images, prompts\)"):
        make_scorer(CARD, None, CPU)


def test_it_computes_in_the_precision_of_the_protocol() -> None:
    layer, kinds = torch.nn.Linear(4, 2), list[torch.dtype]()

    def score(images: torch.Tensor, prompts: list[str]) -> torch.Tensor:
        found: torch.Tensor = layer(images.flatten(1))
        kinds.append(found.dtype)
        return found

    one = SimpleNamespace(score=score)
    for precision, kind in (("fp32", torch.float32), ("fast", torch.bfloat16)):
        given = scores_of(one, "mine", torch.ones(3, 1, 2, 2), ["a", "b"], cast(Any, precision))
        assert given.dtype == torch.float64
        assert kinds.pop() == kind


def test_a_map_per_image() -> None:
    one = SimpleNamespace(heat=lambda images, phrases: torch.ones(len(images), 2, 5).half())
    assert heat_of(one, "mine", torch.zeros(3, 1, 4, 4), ["a"] * 3).dtype == torch.float32


def breaks(images: Any, texts: list[str]) -> Any:
    raise ValueError("no such word\nand more")


@pytest.mark.parametrize(
    ("gives", "text"),
    [
        (breaks, "fails: ValueError: no such word$"),
        (lambda images, texts: torch.ones(2, 1, dtype=torch.complex64), "gave complex numbers"),
        (lambda images, texts: torch.full((2, 1), float("nan")), "gave NaN or infinity$"),
    ],
)
def test_what_is_no_score_is_one_line_with_the_scorers_name(gives: Any, text: str) -> None:
    images = torch.zeros(2, 3, 4, 4)
    with pytest.raises(InputError, match=f"^score of mine: {text}"):
        scores_of(SimpleNamespace(score=gives), "mine", images, ["a"])
    with pytest.raises(InputError, match=f"^heat of mine: {text}"):
        heat_of(SimpleNamespace(heat=lambda *given: gives(*given)[:, :, None]), "mine", images, ["a", "b"])
