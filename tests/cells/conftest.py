"""Every test here has a cache folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.submit import Wishes, submit
from g2d_bench.records.record import EncoderPart, read_predictions
from g2d_bench.records.selection import Found, select


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> Path:
    return own_cache


CARD = """
title = "Mine"
licence = "MIT"
objective = "convirt"
scale = "published"
weights = "mine.safetensors"
pretraining = ["mimic-cxr"]

[image]
model = "resnet18"
size = 128
"""


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A folder with the card of an encoder of one's own, ``mine``."""
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "mine.toml").write_text(CARD)
    return folder


@pytest.fixture
def measured(folder: Any, cards: Path) -> Callable[..., Found]:
    """Put a record of ``mine`` into the folder, as a run leaves it."""
    card = load_card(cards / "mine.toml", EncoderCard)
    part = EncoderPart(
        card_hash=card.digest, weights="a" * 64, title="Mine", scale="published", pretraining=("mimic-cxr",)
    )

    def add(quality: float = 0.55, **more: Any) -> Found:
        found = folder.add("mine", quality, **more)
        arrays = read_predictions(found.path, found.record)
        arrays["group_view"] = np.array(["AP", "PA"] * len(arrays["id"]))[: len(arrays["id"])]
        record = found.record.model_copy(update={"encoder": part, "digest": ""})
        return Found(folder.store.save(found.path, record, arrays), found.path)

    return add


@pytest.fixture
def bundle(folder: Any, other: Any, cards: Path, measured: Callable[..., Found], tmp_path: Path) -> Path:
    """A bundle of three cells of ``mine``; the repository that it is meant for is ``other``."""
    other.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1, 1.0), seeds=1)
    for fraction in (0.01, 0.1, 1.0):
        measured(fraction=fraction)
    submit(select(folder.root), tmp_path / "bundle", Settings(encoder_dirs=(cards,)), Wishes())
    return tmp_path / "bundle"
