"""What is stated of an encoder, beside its card and its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cells.bundle import read_submission
from g2d_bench.cells.review_encoders import Submitted, encoder_problems
from g2d_bench.records.selection import read_folder


def test_statements_are_held_against_cards_and_records(bundle: Path, other: Any) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    claims = read_submission(path).encoders
    cards = {"mine": load_card(bundle / "cards" / "mine.toml", EncoderCard)}
    found = read_folder(bundle / "records")
    given = Submitted(bundle, other.root, claims, cards, found)
    assert encoder_problems(given, [], Catalogue.open()) == []
    silent = Submitted(bundle, other.root, {}, cards, found)
    lines = encoder_problems(silent, [], Catalogue.open())
    assert sum("no submission states licence" in line for line in lines) == 3
    assert any("no submission states anything of mine" in line for line in lines)
    cardless = Submitted(bundle, other.root, claims, {}, found)
    assert all(
        "there is no card of mine" in line for line in encoder_problems(cardless, [], Catalogue.open())
    )
    two = {"mine": claims["mine"].model_copy(update={"weights": ("a" * 64, "b" * 64, "init:0")})}
    lines = encoder_problems(Submitted(bundle, other.root, two, cards, found), [], Catalogue.open())
    assert lines == ["mine: one name for 2 different weights"]


def test_the_card_of_an_encoder_that_is_there_stays(bundle: Path, other: Any) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    cards = {"mine": load_card(bundle / "cards" / "mine.toml", EncoderCard)}
    (other.root / "cards").mkdir()
    (other.root / "cards" / "mine.toml").write_text("title = 'another'")
    given = Submitted(bundle, other.root, read_submission(path).encoders, cards, [])
    lines = encoder_problems(given, [], Catalogue.open())
    assert lines == ["cards/mine.toml: the card of an encoder that is there is changed"]
