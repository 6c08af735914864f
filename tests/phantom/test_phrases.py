"""A finding in words: side, size, place, grammar."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from g2d_bench.phantom import Finding
from g2d_bench.phantom.labels import COVID, DEVICES, DRAWN, OBJECT
from g2d_bench.phantom.phrases import Dice, Said, describe, doubt, fill, join, phrase_of, state
from g2d_bench.phantom.seeds import stream

SAID = [label for label in DRAWN if label not in (DEVICES, OBJECT)]


def test_words_vary() -> None:
    rng = stream("words")
    finding = Finding("Pneumothorax", "left", "apical", 0.3, False, "apical", 1)
    phrases = {phrase_of(finding, rng) for _ in range(200)}
    assert "small left apical pneumothorax" in phrases
    assert len(phrases) > 20
    assert all("left" in phrase for phrase in phrases)


def test_severity_and_side_are_told() -> None:
    rng = stream("severity")
    small = Finding("Effusion", "right", "basal", 0.05, False, "meniscus", 1)
    large = replace(small, severity=0.95)
    assert not any("large" in phrase_of(small, rng) for _ in range(60))
    words = ("large", "massive", "sizeable")
    assert sum(any(word in phrase_of(large, rng) for word in words) for _ in range(60)) > 40
    edema = Finding("Edema", "bilateral", "perihilar", 0.5, False, "", 1)
    assert any("bilateral" in phrase_of(edema, rng) for _ in range(60))


@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_measures_are_those_of_the_drawing(severity: float) -> None:
    dice = Dice(stream("measures"))
    mass = Finding("Mass", "left", "upper", severity, False, "lobulated", 1)
    phrases = [describe(mass, dice).phrase for _ in range(60)]
    assert {word for phrase in phrases for word in phrase.split() if word[0].isdigit()} == {
        f"{3.2 + 3.6 * severity:.1f}"
    }


@pytest.mark.parametrize("label", SAID)
@pytest.mark.parametrize("zone", ["apical", "lower", "basal", "retrocardiac", ""])
def test_every_finding_can_be_said(label: str, zone: str) -> None:
    rng = stream("said", label, zone)
    for side in ("right", "left", "bilateral"):
        for severity in (0.0, 0.5, 1.0):
            phrase = phrase_of(Finding(label, side, zone, severity), rng)
            assert phrase == " ".join(phrase.split())
            assert len(phrase) > 2


@pytest.mark.parametrize("label", SAID)
@pytest.mark.parametrize("side", ["left", "right", "bilateral"])
def test_the_other_side_is_never_named(label: str, side: str) -> None:
    if label in (COVID, "Edema", "Emphysema"):
        side = "bilateral"  # as they are always drawn
    dice = Dice(stream("side", label, side))
    finding = Finding(label, side, {"Effusion": "basal"}.get(label, "lower"), 0.5, False, "", 3)
    wrong = {"left": ("right", "bilateral", "both"), "right": ("left", "bilateral", "both")}.get(
        side, ("left", "right")
    )
    for _ in range(80):
        for manner in ("prose", "short"):
            for sentence in (state(finding, dice, manner), doubt(finding, dice, manner)):
                assert not set(wrong) & set(sentence.lower().strip(".").split()), sentence
                assert "{" not in sentence
                assert sentence[-1] == "."


def test_sides_are_told_most_of_the_time() -> None:
    dice = Dice(stream("told"))
    finding = Finding("Pneumonia", "left", "lower", 0.5, False, "patchy", 1)
    told = [state(finding, dice, "prose").lower() for _ in range(200)]
    assert sum("left" in sentence for sentence in told) == 200
    assert sum("pneumonia" in sentence for sentence in told) > 170
    assert len(set(told)) > 120


def test_grammar() -> None:
    plural, mass = Said("bilateral pleural effusions", True, False), Said("mild edema", False, False)
    assert fill("There {is} {it}.", Said("8 mm nodule", False, True)) == "There is an 8 mm nodule."
    assert fill("There {is} {it}.", Said("opacity", False, True)) == "There is an opacity."
    assert fill("{It} {is} seen.", plural) == "Bilateral pleural effusions are seen."
    assert (
        fill("{It} persist{s} and {has} grown.", plural)
        == "Bilateral pleural effusions persist and have grown."
    )
    assert (
        fill("There {is} {it} and {other}.", mass, Said("nodule", False, True))
        == "There is mild edema and a nodule."
    )


def test_effusions_of_both_sides_are_several() -> None:
    dice = Dice(stream("several"))
    both = Finding("Effusion", "bilateral", "basal", 0.5, False, "meniscus", 1)
    said = [describe(both, dice) for _ in range(80)]
    assert {one.plural for one in said if one.phrase.split()[-1] == "effusions"} == {True}
    assert not any(one.phrase.endswith("effusion") for one in said)


def test_two_findings_stand_in_one_sentence() -> None:
    dice = Dice(stream("two"))
    first = Finding("Effusion", "left", "basal", 0.5, False, "meniscus", 1)
    second = Finding("Cardiomegaly", "", "", 0.5, False, "", 1)
    for _ in range(60):
        sentence = join(first, second, dice, "prose").lower()
        assert "left" in sentence
        assert "effusion" in sentence or "fluid" in sentence
        assert "card" in sentence or "heart" in sentence


def test_the_first_of_a_list_is_the_most_common() -> None:
    dice = Dice(stream("first"))
    drawn = Counter(dice.one("abcd") for _ in range(2000))
    assert drawn["a"] > 1.5 * drawn["b"] > 1.5 * drawn["d"] > 0
    assert {dice.any(3) for _ in range(50)} == {0, 1, 2}
