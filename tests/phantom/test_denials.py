"""What is denied: never what is there, and as often as in real reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from g2d_bench.phantom import PROFILES, Finding, Scene
from g2d_bench.phantom.denials import RATES, choose, deny, series
from g2d_bench.phantom.labels import chexpert_of
from g2d_bench.phantom.phrases import Dice
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.seeds import stream


@pytest.fixture(scope="module")
def scene() -> Scene:
    return replace(sample_scene("denied", 0, seed=0, profile=PROFILES["openi"]), findings=())


def test_nothing_that_is_there_is_denied(scene: Scene) -> None:
    for label in ("Pneumonia", "Effusion", "Nodule", "Cardiomegaly", "Edema", "Fracture"):
        ill = replace(scene, findings=(Finding(label, "left", "lower", 0.5),))
        dice = Dice(stream("there", label))
        for _ in range(100):
            mentions: dict[str, int] = {}
            names, _ = choose(ill, dice, mentions, 1.4)
            assert not set(names) & set(chexpert_of(label))
            assert not set(mentions) & set(chexpert_of(label))
            assert set(mentions.values()) <= {0}


def test_what_is_mentioned_is_not_denied(scene: Scene) -> None:
    dice = Dice(stream("mentioned"))
    for _ in range(100):
        mentions = {"Pneumothorax": -1, "Lung Opacity": -1}
        names, clear = choose(scene, dice, mentions, 1.0)
        assert not clear
        assert "Pneumothorax" not in names
        assert mentions["Pneumothorax"] == mentions["Lung Opacity"] == -1


def test_look_alikes_are_not_denied_beside_each_other(scene: Scene) -> None:
    dice = Dice(stream("alike"))
    ill = replace(scene, findings=(Finding("Pneumonia", "left", "lower", 0.5),))
    assert not any("Consolidation" in choose(ill, dice, {}, 1.0)[0] for _ in range(60))


def test_rates_hold(scene: Scene) -> None:
    dice = Dice(stream("rates"))
    drawn = [choose(scene, dice, {}, 1.0)[0] for _ in range(1500)]
    for name, rate in RATES.items():
        if name != "Lung Opacity":  # which calling the lungs clear takes over
            assert sum(name in names for names in drawn) / 1500 == pytest.approx(rate, abs=0.05), name


def test_lists_name_all() -> None:
    dice = Dice(stream("lists"))
    for _ in range(40):
        assert "effusion" in (text := series(["Pleural Effusion", "Pneumothorax"], dice)) or "fluid" in text
        assert " or " in text
    three = {series(["Edema", "Pneumonia", "Fracture"], dice) for _ in range(60)}
    assert any(", or " in text for text in three)
    assert all(text.count(",") in (1, 2) for text in three)


def test_each_denied_label_is_said_once() -> None:
    dice = Dice(stream("once"))
    for _ in range(80):
        said = " ".join(
            text for _, text in deny(["Pneumonia", "Pneumothorax", "Cardiomegaly"], False, dice)
        ).lower()
        assert said.count("pneumonia") == 1
        assert ("pneumotho" in said) + ("pleural air" in said) + ("markings reach" in said) >= 1
        assert "heart" in said or "cardiac" in said
        assert "{" not in said


def test_verbs_agree() -> None:
    dice = Dice(stream("agree"))
    for _ in range(200):
        for _, text in deny(["Pleural Effusion"], False, dice):
            assert "effusions is" not in text
            assert "effusion are" not in text
