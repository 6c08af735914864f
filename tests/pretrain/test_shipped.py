"""The shipped encoders: made on equal terms, better than chance, and made again with the same result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.hashing import digest_file
from g2d_bench.paths import PACKAGE
from g2d_bench.pretrain.export import MAX_BYTES
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.pretrain import pretrain

WEIGHTS = PACKAGE / "weights"
LEARNED = PACKAGE.parent / "benchmarks" / "results" / "does_it_learn.json"


@pytest.fixture(scope="module")
def cards() -> dict[str, dict[str, Any]]:
    missing = [method for method in OBJECTIVES.names if not (WEIGHTS / f"{method}.safetensors").is_file()]
    if missing:
        pytest.skip(f"not made: {', '.join(missing)} (make weights)")
    return {m: dict(open_checkpoint(WEIGHTS / f"{m}.safetensors").metadata) for m in OBJECTIVES.names}


def test_small_enough_and_complete(cards: dict[str, dict[str, Any]]) -> None:
    for method, card in cards.items():
        assert (WEIGHTS / f"{method}.safetensors").stat().st_size <= MAX_BYTES
        assert card["tokenizer"] == digest_file(WEIGHTS / "tokenizer.json")


def test_equal_terms(cards: dict[str, dict[str, Any]]) -> None:
    first = cards[OBJECTIVES.names[0]]
    for method, card in cards.items():
        made = recipe(method).as_json()
        assert card["recipe"] == made, "the recipe has changed since the weights were made"
        assert {name: card[name] for name in ("seed", "steps", "data", "image", "text", "tokenizer")} == {
            name: first[name] for name in ("seed", "steps", "data", "image", "text", "tokenizer")
        }
        assert card["data"]["kind"] == "phantom"


def test_better_than_chance(cards: dict[str, dict[str, Any]]) -> None:
    for method, card in cards.items():
        found = card["retrieval"]
        assert found["pairs"] == 200
        assert card["losses"]["last"]["loss"] < card["losses"]["first"]["loss"], method
        above = [found[way]["r@10"] - found["chance"]["r@10"] for way in ("image_to_text", "text_to_image")]
        # Chance finds 10 of 200 within rank 10, with a standard deviation of 3; the mean of both ways has at
        # most that.
        assert min(above) > 3 * 3 / 200, method
        assert sum(above) / 2 > 4 * 3 / 200, method


def spread(values: list[float], least: float) -> float:
    """How far two trainings may lie apart: three deviations over seeds, each ``least`` at least."""
    return 3 * max(float(np.std(values, ddof=1)), least)


@pytest.mark.slow
def test_made_again(cards: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """The recorded seed gives the recorded metrics, within what they differ between seeds.

    The bits differ between processors and numbers of threads.
    """
    recorded, seeds = cards["convirt"], json.loads(LEARNED.read_text())
    made = pretrain("convirt", out=tmp_path, seed=recorded["seed"]).card
    assert made["data"]["hash"] == recorded["data"]["hash"]
    assert made["tokenizer"] == recorded["tokenizer"]
    losses = [seeds["val_loss"]["convirt"][str(seed)] for seed in seeds["trainings"]]
    assert len(losses) == 3
    assert made["losses"]["validation"]["val_loss"] == pytest.approx(
        recorded["losses"]["validation"]["val_loss"], abs=spread(losses, 0)
    )
    for way in ("image_to_text", "text_to_image"):
        found = [seeds["retrieval"]["convirt"][str(seed)][way]["r@10"] for seed in seeds["trainings"]]
        # A share of 200 pairs has a deviation of its own; three seeds may agree by luck.
        share = recorded["retrieval"][way]["r@10"]
        least = (share * (1 - share) / recorded["retrieval"]["pairs"]) ** 0.5
        assert made["retrieval"][way]["r@10"] == pytest.approx(share, abs=spread(found, least))
