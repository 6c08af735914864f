"""The words of generated reports."""

from __future__ import annotations

from string import Formatter

import pytest
from pydantic import ValidationError

from g2d_bench.phantom.asides import KNOWN
from g2d_bench.phantom.denials import RATES
from g2d_bench.phantom.labels import CHEXPERT, COVID, CXR14, DRAWN
from g2d_bench.phantom.words import WORDS, Words


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_finding_that_is_drawn_has_a_name() -> None:
    for label in (*CXR14, COVID, "Enlarged Cardiomediastinum", "Fracture"):
        assert WORDS.nouns[label], label


def test_tables_are_of_known_labels() -> None:
    assert set(WORDS.negations) | set(WORDS.denied) | set(RATES) <= set(CHEXPERT)
    assert set(RATES) == set(WORDS.negations)
    assert {label for pair in WORDS.pairs for label in pair} <= set(CHEXPERT)
    assert all(len(set(pair)) == 2 for pair in WORDS.pairs)
    assert {label for stock in WORDS.stock for label in stock.denies} <= set(CHEXPERT)
    assert {label for normal in WORDS.normals for label in normal.unless} <= set(DRAWN)
    assert set(WORDS.nouns) | set(WORDS.special) | set(WORDS.sizes) - {"default"} <= set(DRAWN)
    assert {key.split("/")[0] for key in WORDS.patterns} <= set(DRAWN)
    assert {normal.organ for normal in WORDS.normals} | {organ for organ, _ in KNOWN.values()} <= set(
        WORDS.organs
    )


def test_every_aside_is_known_to_be_true_or_not() -> None:
    assert set(WORDS.asides) == set(KNOWN)


def test_sizes_have_four_steps() -> None:
    assert "default" in WORDS.sizes
    assert {len(steps) for steps in WORDS.sizes.values()} == {4}
    assert all(words for steps in WORDS.sizes.values() for words in steps)


def test_sentences_hold_only_what_they_are_given() -> None:
    finding = {"It", "it", "Phrase", "phrase", "is", "has", "s"}
    statements = (*WORDS.statements.prose, *WORDS.statements.short, *WORDS.hedges.prose, *WORDS.hedges.short)
    for sentence in (*statements, *(way for ways in WORDS.changes.values() for way in ways)):
        assert fields(sentence) <= finding, sentence
        assert fields(sentence) & {"It", "it", "Phrase", "phrase"}, sentence
    for sentence in (*WORDS.joined.prose, *WORDS.joined.short):
        assert fields(sentence) & {"It", "it", "Phrase", "phrase"}, sentence
        assert fields(sentence) & {"other", "bare"}, sentence
    assert all("list" in fields(way) for way in (*WORDS.exclusions, *WORDS.bundles, *WORDS.clear_of))
    for ways in (*WORDS.special.values(), *WORDS.devices.values(), WORDS.vague):
        assert all(fields(way) <= {"side", "Side", "grade"} for way in ways)


def test_what_is_said_without_knowing_names_no_finding_and_no_side() -> None:
    """Causes, advice, messages, fillers and asides are said of any film; they must be true of all."""
    loose = (*WORDS.causes, *WORDS.advice, *WORDS.messages, *WORDS.fillers, *WORDS.unsure)
    loose += tuple(way for ways in WORDS.asides.values() for way in ways)
    names = {ways[0].split()[-1] for ways in WORDS.nouns.values()} | {"left", "right", "bilateral", "opacity"}
    for sentence in loose:
        words = sentence.lower().strip(".").replace(",", "").split()
        assert not (names - {"mediastinum"}) & set(words), sentence


def test_a_list_that_nobody_reads_is_refused() -> None:
    content = WORDS.model_dump() | {"pairs": [], "silly": ["x"]}
    with pytest.raises(ValidationError, match="silly"):
        Words.model_validate(content)
