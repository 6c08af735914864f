"""The words of generated reports."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from g2d_bench.phantom.labels import CHEXPERT, COVID, CXR14
from g2d_bench.phantom.words import WORDS, Words


def test_every_finding_that_is_drawn_has_a_name_or_sentences() -> None:
    for label in (*CXR14, COVID):
        assert WORDS.nouns.get(label) or WORDS.special.get(label), label


def test_denials_are_of_known_labels() -> None:
    assert set(WORDS.negations) <= set(CHEXPERT)
    assert {label for pair in WORDS.pairs for label in pair} <= set(CHEXPERT)
    assert all(len(set(pair)) == 2 for pair in WORDS.pairs)


def test_sizes_have_four_steps() -> None:
    assert "default" in WORDS.sizes
    assert {len(steps) for steps in WORDS.sizes.values()} == {4}
    assert all(words for steps in WORDS.sizes.values() for words in steps)


def test_a_list_that_nobody_reads_is_refused() -> None:
    content = WORDS.model_dump() | {"pairs": [], "silly": ["x"]}
    with pytest.raises(ValidationError, match="silly"):
        Words.model_validate(content)
