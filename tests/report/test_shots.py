"""Few images per class beside shares of the labels: never one for the other, wherever numbers are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.standings import standings
from g2d_bench.records.selection import select
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request, numbers
from g2d_bench.report.exports.rows import rows
from g2d_bench.report.trackers.base import told_of

AMOUNTS = ((0, 0.9), (4, 0.5), (16, 0.7))
"""Shots, 0 for all labels, and how good the encoder is with them."""


@pytest.fixture
def amounts(folder: Any) -> Any:
    for shots, quality in AMOUNTS:
        for encoder, worse in (("g2d", 0.0), ("random", 0.2)):
            folder.add(encoder, quality - worse, fraction=1.0, shots=shots)
    return folder


def test_exports_keep_them_apart(amounts: Any) -> None:
    found = select(amounts.root)
    stated = {
        one.cell.drawn: one.record.metrics["dice_positive"] for one in found if one.cell.encoder == "g2d"
    }
    made = [one for one in numbers(Request(found, intervals=False)) if one.encoder == "g2d"]
    assert {one.name: one.value / 100 for one in made} == {
        "phantom-siim-seg-4shots-clean": pytest.approx(stated[1.0, 4]),
        "phantom-siim-seg-16shots-clean": pytest.approx(stated[1.0, 16]),
        "phantom-siim-seg-100pct-clean": pytest.approx(stated[1.0, 0]),
    }
    said = {one.name.split("-")[3]: one.told for one in made}
    assert "; 4 shots per class;" in said["4shots"]
    assert "; 100 % of the training labels;" in said["100pct"]
    card = EXPORTS["model-index"].write(Request(found, intervals=False))
    text = b"".join(card.values()).decode()
    assert text.count("siim-seg, 4 shots per class") == 2
    assert text.count("shots: 4") == 2
    lines = {(row["encoder"], row["fraction"], row["shots"]) for row in rows(Request(found, intervals=False))}
    assert {("g2d", 1.0, 4), ("g2d", 1.0, 16), ("g2d", 1.0, 0)} <= lines
    named = {told_of(one.record).name for one in found}
    assert "GENERATED siim-seg g2d 16 shots seed 0 clean [scale unknown]" in named
    assert len(named) == len(found)


def test_a_submission_is_ranked_among_its_own(amounts: Any, folder: Any) -> None:
    base = select(amounts.root)
    added = [folder.add("mgca", 0.6, fraction=1.0, shots=4)]
    made = next(one for one in standings(base, added, Catalogue.open()) if one.encoder == "mgca")
    assert made.place[1] == (1.0, 4)
    assert made.of == 3
    assert made.after is not None
    assert made.after.rank == 1


def test_the_checklist_says_which(amounts: Any, cli: Callable[..., Any]) -> None:
    said = cli("report", "--checklist").output
    assert "training on 100 % of the labels and 4, 16 images per class" in said
    assert "siim-seg, 4 shots, clean: g2d" in said


def test_the_leaderboard_keeps_them_apart(amounts: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("leaderboard", "--out", "site").exit_code == 0
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    assert sorted((one["fraction"] or 0, one.get("shots", 0)) for one in data["differences"]) == [
        *((0, 4), (0, 16), (1.0, 0)),
    ]
    assert {(one["fraction"], one.get("shots", 0)) for one in data["ranks"]} == {
        (None, 4),
        (None, 16),
        (1.0, 0),
    }


def test_a_leaderboard_of_shots_alone(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    for shots in (4, 16):
        for encoder in ("g2d", "random"):
            folder.add(encoder, 0.5, fraction=1.0, shots=shots, seconds={"train and predict": 2.0})
    done = cli("leaderboard", "--out", "site")
    assert done.exit_code == 0, done.output
    assert "100 %" not in (tmp_path / "site" / "claims.html").read_text().split("<main")[1]


def test_what_trains_nothing_says_so(folder: Any) -> None:
    folder.add("g2d", task="siim-zeroshot", fraction=1.0, kind="zero-shot")
    (made,) = numbers(Request(select(folder.root), intervals=False))
    assert made.name == "phantom-siim-zeroshot-untrained-clean"
    assert "; without training;" in made.told
