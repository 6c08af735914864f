"""What of an encoder moves a number, by its digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.encoders import digests as module
from g2d_bench.encoders.digests import digests
from g2d_bench.encoders.text_folder import needs_folder, text_digest
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.hashing import digest_code

MakeCard = Callable[[str], EncoderCard]


def test_weights_alone_where_no_text_is_asked(small_card: MakeCard) -> None:
    card = small_card("random")
    assert digests(card, None, 3, "rsna", texts=False) == {"weights": weights_digest(card, None, 3)}
    assert digests(card, None, 3, "rsna", texts=True) == digests(card, None, 3, "rsna", texts=False)
    assert digests(card, None, 3, "rsna", texts=False, weights="memory:1") == {"weights": "memory:1"}


def test_the_folder_of_a_text_encoder(small_card: MakeCard, tmp_path: Path) -> None:
    card, file = small_card("gloria.chexpert-r50"), tmp_path / "gloria.ckpt"
    file.write_bytes(b"x")
    assert needs_folder(card)
    found = digests(card, file, 0, "rsna", texts=True)
    assert found == {"weights": weights_digest(card, file), "text": text_digest(card, file)}
    assert digests(card, file, 0, "rsna", texts=False).keys() == {"weights"}


def test_the_code_of_a_scorer(small_card: MakeCard, monkeypatch: pytest.MonkeyPatch) -> None:
    card = small_card("random").model_copy(update={"scorer": "mine"})
    monkeypatch.setattr(SCORERS, "module", lambda name: {"mine": module.__name__}[name])
    assert digests(card, None, 0, "rsna", texts=True)["scorer"] == digest_code(module.__name__)
    assert "scorer" not in digests(card, None, 0, "rsna", texts=False)
