"""Notes against what follows from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.records.notes import differing

NOTES: dict[str, Any] = {
    "images": {"train": 3, "test": 5},
    "thresholds": {"A": 0.25, "B": None},
    "predicts_nothing": "predicts nothing on any of the 5 test images; best dice on validation (0) is bad",
    "score": "cosine",
    "asks": ["a", "b"],
}


@pytest.mark.parametrize(
    "derived",
    [
        {"images": {"train": 3, "test": 5}},
        {"images.test": 5},
        {"thresholds": {"A": 0.25 + 1e-12, "B": None}},
        {"predicts_nothing; best": "best dice on validation (0) is bad"},
        {"predicts_nothing; predicts": "predicts nothing on any of the 5 test images"},
        {"predicts_nothing; worst": None},
        {"asks": ("a", "b")},
        {"unheard": None, "unheard.of": None},
        {"of newer code": 1, "images.val": 1},
    ],
)
def test_what_follows_is_there(derived: dict[str, Any]) -> None:
    assert list(differing(NOTES, derived, "the cards")) == []


@pytest.mark.parametrize(
    ("derived", "line"),
    [
        ({"images": {"train": 3}}, "notes.images: says {'train': 3, 'test': 5}, the cards say {'train': 3}"),
        ({"images.test": 4}, "notes.images.test: says 5, the cards say 4"),
        ({"images.test": 5.0}, "notes.images.test: says 5, the cards say 5.0"),
        ({"thresholds": {"A": 0.26, "B": None}}, "notes.thresholds: says {'A': 0.25, 'B': None}, the cards "),
        ({"score": None}, "notes.score: says 'cosine', the cards say nothing of the kind"),
        ({"asks": ["b", "a"]}, "notes.asks: says ['a', 'b'], the cards say ['b', 'a']"),
        (
            {"predicts_nothing; best": None},
            "notes.predicts_nothing: says 'best dice on validation (0) is bad', the",
        ),
        ({"predicts_nothing; worst": "worst"}, "notes.predicts_nothing: is missing, the cards say 'worst'"),
        ({"split_defects": ["x"]}, "notes.split_defects: is missing, the cards say ['x']"),
        ({"score": "x" * 300}, "notes.score: says 'cosine', the cards say 'xxxxx"),
    ],
)
def test_what_says_something_else_is_named(derived: dict[str, Any], line: str) -> None:
    (found,) = differing(NOTES, derived, "the cards")
    assert found.startswith(line)
    assert len(found) < 250
