"""Ranks without and with what is added."""

from __future__ import annotations

from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.standings import main_metric, standings
from g2d_bench.records.selection import select


def test_who_moves_is_told(folder: Any, other: Any) -> None:
    other.grid({"random": 0.3, "g2d": 0.6}, seeds=1)
    folder.add("mine", 0.5)
    base, added = select(other.root), select(folder.root)
    moved = {one.encoder: one for one in standings(base, added, Catalogue.open())}
    # The best one stays where it was.
    assert set(moved) == {"mine", "random"}
    mine, random = moved["mine"], moved["random"]
    assert (mine.before, mine.after.rank if mine.after else 0, mine.of) == (None, 2, 3)
    assert random.before is not None
    assert random.after is not None
    assert (random.before.rank, random.after.rank) == (2, 3)
    assert mine.after is not None
    assert mine.after.low <= 2 <= mine.after.high
    assert main_metric(added[0], Catalogue.open()) == mine.metric == "dice_positive"


def test_a_row_that_lacks_seeds_or_predictions_has_no_rank(folder: Any, other: Any) -> None:
    other.grid({"random": 0.3, "g2d": 0.6}, seeds=2)
    folder.add("mine", 0.5)
    (mine,) = standings(select(other.root), select(folder.root), Catalogue.open())
    assert (mine.encoder, mine.after, mine.of) == ("mine", None, 2)


def test_a_record_that_is_there_is_replaced(folder: Any, other: Any) -> None:
    other.grid({"random": 0.3, "g2d": 0.6}, seeds=1)
    folder.add("random", 0.9, noise=3)
    found = {one.encoder: one for one in standings(select(other.root), select(folder.root), Catalogue.open())}
    assert found["random"].before is not None
    assert found["random"].after is not None
    assert (found["random"].before.rank, found["random"].after.rank) == (2, 1)
    assert found["g2d"].of == 2


def test_a_published_protocol_has_no_standings(folder: Any, other: Any) -> None:
    for quality, where in ((0.3, other), (0.6, folder)):
        where.add(f"of-{quality}", quality, protocol="legacy")
    assert standings(select(other.root), select(folder.root), Catalogue.open()) == []
