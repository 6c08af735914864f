"""What zero-shot, grounding and phrase tasks ask a scorer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from g2d_bench.adapters import by_scorer, zero_shot
from g2d_bench.adapters.base import lacking
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.devices import accelerator
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

BRIGHT = Path(__file__).parents[1] / "e2e" / "outside" / "g2d_outside" / "bright.py"


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An encoder with the scorer of the outside package, as if that were installed."""
    (tmp_path / "bright_of_a_test.py").write_text(BRIGHT.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("bright", "bright_of_a_test", "g2d_bench.scorers")
    monkeypatch.setitem(SCORERS.__dict__, "_foreign", {"bright": point})
    card = EncoderCard.model_validate(
        {
            "name": "mine",
            "title": "Mine",
            "objective": "other",
            "scale": "phantom",
            "weights": "none",
            "scorer": "bright",
            "image": {"model": "resnet18", "options": {"channels": [8, 8, 8, 8]}, "size": 32},
        }
    )
    yield load_encoder(card)
    SCORERS._found.pop("bright", None)
    sys.modules.pop("bright_of_a_test", None)


class Prompts(SimpleNamespace):
    def of(self, label: str, method: str) -> tuple[Any, str]:
        assert method == "other"
        return SimpleNamespace(positive=(label, f"there is {label}"), negative=(f"no {label}",)), "default"


def job(encoder: Any, films: Any) -> Any:
    names = [str(n) for n in range(len(films))]
    table = SimpleNamespace(pixels=films, rows=lambda ids: np.array([names.index(i) for i in ids]))
    task = SimpleNamespace(labels=("edema", "fracture"), prompts=Prompts())
    return SimpleNamespace(encoder=encoder, task=task, data=SimpleNamespace(pixels=lambda size, fit: table))


@pytest.fixture
def films() -> Any:
    """More images than one batch holds."""
    return np.random.default_rng(0).integers(0, 256, (70, 32, 32)).astype(np.uint8)


def test_scores_are_those_for_less_those_against(encoder: Any, films: Any) -> None:
    ids = [str(n) for n in range(69, -1, -1)]
    found = by_scorer.scores(job(encoder, films), ids)
    light = (films.mean(axis=(1, 2)) / 255 - 0.5) / 0.5
    assert found.shape == (70, 2)
    np.testing.assert_allclose(found[:, 0], 2 * light[::-1], atol=1e-5)
    assert by_scorer.words(job(encoder, films)).endswith("- mean score of the negative prompts")


@pytest.mark.parametrize("wants", [False, True])
def test_one_with_parameters_is_asked_without_gradients(encoder: Any, films: Any, wants: bool) -> None:
    layer = torch.nn.Linear(3, 3).to(accelerator())

    def score(images: Tensor, prompts: list[str]) -> Tensor:
        with torch.set_grad_enabled(wants or torch.is_grad_enabled()):
            return layer(images.mean(dim=(2, 3)))[:, : len(prompts)]  # type: ignore[no-any-return]

    encoder.scorer.score, encoder.scorer.negatives = score, False
    task = SimpleNamespace(labels=("edema",), prompts=Prompts())
    asked: Any = SimpleNamespace(**{**vars(job(encoder, films)), "task": task})
    assert by_scorer.scores(asked, ["0", "69"]).shape == (2, 1)
    encoder.scorer.heat = lambda images, phrases: layer(images.mean(dim=(2, 3)))[:, :, None]
    assert by_scorer.heats(asked, [("0", ["edema"])])[0].shape == (3, 1)


def test_a_method_that_knows_no_negation_is_asked_with_none(encoder: Any, films: Any) -> None:
    asked: list[str] = []
    plain = encoder.scorer.score

    def score(images: Tensor, prompts: list[str]) -> Tensor:
        asked.extend(prompts)
        found: Tensor = plain(images, prompts)
        return found

    encoder.scorer.score, encoder.scorer.negatives = score, False
    found = by_scorer.scores(job(encoder, films[:3]), ["0", "1", "2"])
    np.testing.assert_allclose(found[:, 1], (films[:3].mean(axis=(1, 2)) / 255 - 0.5) / 0.5, atol=1e-5)
    assert not any("no " in text for text in asked)
    assert by_scorer.words(job(encoder, films)) == by_scorer.SCORE
    encoder.scorer.probabilities = True
    assert zero_shot.probable({"score": by_scorer.words(job(encoder, films))})
    encoder.scorer.negatives = True
    assert not zero_shot.probable({"score": by_scorer.words(job(encoder, films))}), "a difference is none"


def test_maps_are_means_over_the_texts_of_an_image(encoder: Any, films: Any) -> None:
    pairs = [(str(n), ("a", "b")) for n in range(40)]
    found = by_scorer.heats(job(encoder, films), pairs)
    assert len(found) == 40
    grid = ((films[39] / 255 - 0.5) / 0.5).reshape(8, 4, 8, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(found[39], grid, atol=1e-5)


def test_what_it_gives_decides_what_it_may_be_asked(encoder: Any) -> None:
    assert lacking(KINDS["zero-shot"], encoder) == ""
    assert lacking(KINDS["grounding"], encoder) == ""
    del type(encoder.scorer).heat
    assert lacking(KINDS["zero-shot"], encoder) == ""
    assert "gives no cells" in lacking(KINDS["grounding"], encoder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, 3), r"must give \[B, P\], here \[2, 6\], not \[2, 3\]"),
        ([1, 2], r"must give \[B, P\], here \[2, 6\], not list"),
        (torch.full((2, 6), torch.nan), "gave NaN or infinity"),
    ],
)
def test_what_is_no_score_is_refused(given: Any, message: str, encoder: Any, films: Any) -> None:
    encoder.scorer.score = lambda images, prompts: given
    with pytest.raises(InputError, match=f"score of bright: {message}"):
        by_scorer.scores(job(encoder, films[:2]), ["0", "1"])
    encoder.scorer.heat = lambda images, phrases: torch.zeros(2, 3)
    with pytest.raises(InputError, match=r"heat of bright: must give \[B, h, w\]"):
        by_scorer.heats(job(encoder, films[:2]), [("0", ("a",)), ("1", ("a",))])


def test_the_code_is_named(encoder: Any, films: Any) -> None:
    state = by_scorer.state(job(encoder, films))
    assert state["scorer"] == "bright"
    assert len(state["code"]) == 64
