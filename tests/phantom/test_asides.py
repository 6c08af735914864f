"""What is said besides the findings: only what is true of the scene."""

from __future__ import annotations

from dataclasses import replace

import pytest

from g2d_bench.phantom import PROFILES, Finding, Scene
from g2d_bench.phantom.asides import KNOWN, asides, gone, hardware
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.phrases import Dice
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.seeds import stream
from g2d_bench.phantom.words import WORDS


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene("asides", index, seed=0, profile=PROFILES["mimic-cxr"]) for index in range(400)]


def test_asides_are_true(scenes: list[Scene]) -> None:
    where = {sentence: name for name, ways in WORDS.asides.items() for sentence in ways}
    said = set()
    for scene in scenes:
        for organ, sentence in asides(scene, Dice(stream("true", scene.index)), 3.0):
            assert organ in WORDS.organs
            if sentence in where:
                name = where[sentence]
                assert KNOWN[name][1](scene), sentence
                said.add(name)
    assert said == set(KNOWN)


def test_nothing_is_called_normal_that_is_not(scenes: list[Scene]) -> None:
    unless = {sentence: normal.unless for normal in WORDS.normals for sentence in normal.sentences}
    for scene in scenes:
        for _, sentence in asides(scene, Dice(stream("normal", scene.index)), 3.0):
            assert scene.labels.isdisjoint(unless.get(sentence, ())), sentence


def test_devices_are_named_with_their_side(scenes: list[Scene]) -> None:
    for side, other in (("left", "right"), ("right", "left")):
        for device in ("chest tube", "PICC", "port", "central line"):
            scene = replace(scenes[0], findings=(Finding(DEVICES, side, "", 0.5, False, device, 1),))
            for turn in range(30):
                mentions: dict[str, int] = {}
                said = hardware(scene, Dice(stream("side", device, turn)), mentions)
                assert (mentions == {DEVICES: 1}) == bool(said)
                for _, sentence in said:
                    assert side in sentence.lower()
                    assert other not in sentence.lower()


def test_objects_are_named_by_their_kind(scenes: list[Scene]) -> None:
    scene = replace(scenes[0], findings=(Finding(OBJECT, pattern="coin"),))
    said = {text for turn in range(60) for _, text in hardware(scene, Dice(stream("coin", turn)), {})}
    assert said <= {*WORDS.objects["coin"], *WORDS.objects[""]}
    assert said & set(WORDS.objects["coin"])


def test_what_has_gone_is_said_to_have_gone(scenes: list[Scene]) -> None:
    scene = replace(scenes[0], resolved=("Effusion",))
    said = [text for turn in range(40) for _, text in gone(scene, Dice(stream("gone", turn)))]
    assert 10 < len(said) < 30
    assert all("pleural effusion" in text.lower() for text in said)
