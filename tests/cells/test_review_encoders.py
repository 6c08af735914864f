"""What is stated of an encoder, beside its card and its records."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cells.bundle import read_submission
from g2d_bench.cells.review import review
from g2d_bench.cells.review_encoders import Submitted, encoder_problems
from g2d_bench.cells.settings import Settings
from g2d_bench.records.record import to_json
from g2d_bench.records.selection import read_folder, select


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
    assert lines == [
        "mine: one name for 2 different weights",
        "weights of mine: bbbbbbbbbbbbb, init:0 are those of no record",
    ]


def test_what_is_stated_without_records_is_held_against_the_card(bundle: Path, other: Any) -> None:
    """Who brings nothing of an encoder may not speak of it, and lies are found without records."""
    (path,) = (bundle / "submissions").glob("*.json")
    stated, catalogue = read_submission(path), Catalogue.open()
    g2d = catalogue.encoders["g2d"]
    weights = tuple({one.record.encoder.weights for one in select(other.root) if one.cell.card == "g2d"})
    honest = stated.encoders["mine"].model_copy(
        update={
            "title": g2d.title,
            "paper": g2d.paper,
            "licence": g2d.licence,
            "pretraining": tuple(g2d.pretraining),
            "scale": g2d.scale,
            "card": "",
            "weights": weights,
        }
    )
    shutil.rmtree(bundle / "records")
    (bundle / "cards" / "mine.toml").unlink()

    def problems(**said: Any) -> tuple[str, ...]:
        claim = honest.model_copy(update=said)
        path.write_bytes(to_json(stated.model_copy(update={"encoders": {"g2d": claim}, "files": {}})))
        return review(bundle, other.root, Settings()).problems

    nothing = f"submissions/{path.name}: states g2d, of which it brings no record and no card"
    assert problems() == (nothing,)
    licence = f"licence of g2d: the card says {g2d.licence!r}, the submission 'public domain'"
    assert problems(licence="public domain") == (nothing, licence)
    assert problems(title="Best") == (
        nothing,
        f"title of g2d: the card says {g2d.title!r}, the submission 'Best'",
    )
    seen = f"pretraining of g2d: the card says {tuple(g2d.pretraining)!r}, the submission ()"
    assert problems(pretraining=()) == (nothing, seen)
    assert problems(weights=("c" * 64,)) == (
        nothing,
        "weights of g2d: ccccccccccccc are those of no record",
    )


def test_the_card_of_an_encoder_that_is_there_stays(bundle: Path, other: Any) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    cards = {"mine": load_card(bundle / "cards" / "mine.toml", EncoderCard)}
    (other.root / "cards").mkdir()
    (other.root / "cards" / "mine.toml").write_text("title = 'another'")
    found = read_folder(bundle / "records")
    given = Submitted(bundle, other.root, read_submission(path).encoders, cards, found)
    lines = encoder_problems(given, [], Catalogue.open())
    assert lines == ["cards/mine.toml: the card of an encoder that is there is changed"]
