"""What counts as seen, on real and on generated data."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.pretraining import hints, in_words, most, parse, sight, sources
from g2d_bench.errors import InputError


def test_the_very_set_is_seen_by_images_or_by_labels() -> None:
    assert sight(["chexpert"], "chexpert", "real") == "images"
    assert sight(["mimic-cxr", "chexpert:labels"], "chexpert", "real") == "labels"
    assert sight(["mimic-cxr"], "chexpert", "real") == ""
    assert sight([], "chexpert", "real") == ""
    assert sight(None, "chexpert", "real") == ""


def test_films_of_another_set_are_its_images_and_never_its_labels() -> None:
    assert sources("covidx") == {"rsna", "cxr14"}
    for task in ("rsna", "siim", "covidx"):
        assert sight(["cxr14:labels"], task, "real") == "images"
    assert sight(["rsna:labels"], "cxr14", "real") == "images"
    assert sight(["mimic-cxr"], "ms-cxr", "real") == "images"
    # Two sets that took films of a third one need not have any in common.
    assert sight(["rsna"], "siim", "real") == ""


def test_generated_data_are_another_world() -> None:
    assert sight(["chexpert:labels", "mimic-cxr"], "chexpert", "phantom") == ""
    assert sight(["phantom"], "mimic-cxr", "real") == ""
    assert sight(["phantom"], "mimic-cxr", "phantom") == "images"
    # Every generated set is drawn apart, whatever its original took.
    assert sight(["phantom"], "ms-cxr", "phantom") == ""
    assert sight(["phantom/rsna:labels"], "rsna", "phantom") == "labels"
    assert sight(["phantom/cxr14"], "rsna", "phantom") == ""


def test_no_two_generated_sets_share_a_patient() -> None:
    """What the rule above rests on: scenes of two data sets have other seeds."""
    from g2d_bench.phantom.scene import make_patient

    drawn = {
        name: {make_patient(name, 0, n, 1).uid for n in range(20)} for name in ("mimic-cxr", "ms-cxr", "rsna")
    }
    assert not drawn["mimic-cxr"] & drawn["ms-cxr"]
    assert not drawn["mimic-cxr"] & drawn["rsna"]


def test_gloria_of_chexpert_has_seen_chexpert_and_the_small_encoders_nothing() -> None:
    cards = {card.name: card for card in Catalogue.open().encoders}
    assert sight(cards["gloria.chexpert-r50"].seen, "chexpert", "real") == "images"
    tested = {task.dataset for task in Catalogue.open().tasks}
    for name in ("convirt", "gloria", "mgca", "g2d"):
        assert cards[name].seen == ("phantom",)
        assert {sight(cards[name].seen, one, "phantom") for one in tested - {"mimic-cxr"}} == {""}


def test_words() -> None:
    assert in_words(["mimic-cxr", "cxr14:labels"]) == "mimic-cxr + cxr14 with labels"
    assert parse("cxr14:labels").dataset == "cxr14"
    assert most(["", "labels", "images"]) == "labels"
    assert most([]) == ""


def test_an_entry_that_is_none_is_refused(tmp_path: Path) -> None:
    card = tmp_path / "mine.toml"
    text = (
        'title = "m"\nobjective = "other"\nscale = "published"\nweights = "none"\n'
        'pretraining = ["cxr14:label"]\n[image]\nmodel = "resnet50"\nsize = 224\n'
    )
    card.write_text(text)
    with pytest.raises(InputError, match=r"pretraining\[0\]: want the name of a data set, such as rsna"):
        load_card(card, EncoderCard)


def test_capitals_do_not_matter() -> None:
    assert sight(["RSNA:labels"], "rsna", "real") == "labels"
    assert sight(["Chexpert"], "chexpert", "real") == "images"
    assert sight(["Phantom/RSNA"], "rsna", "phantom") == "images"
    assert parse("PHANTOM") == parse("phantom")


@pytest.mark.parametrize(
    ("entry", "near"),
    [
        ("rsna-pneumonia", "rsna"),
        ("mimic", "mimic-cxr"),
        ("MIMIC-CXR-JPG:labels", "mimic-cxr:labels"),
        ("ChestX-ray14", "cxr14"),
        ("nih-chest-xrays", "cxr14"),
        ("chexprt", "chexpert"),
        ("open-i", "openi"),
        ("siim-acr", "siim"),
        ("phantom/rnsa", "phantom/rsna"),
    ],
)
def test_names_that_are_near_to_a_data_set(entry: str, near: str) -> None:
    [line] = hints([entry])
    assert line == (
        f"pretraining: no data set is called {entry!r}, so that it marks nothing; did you mean {near!r}?"
    )


def test_names_that_are_near_to_none_are_let_alone() -> None:
    others = ["vindr-cxr", "padchest", "ms-coco", "imagenet-1k", "cxr", "RSNA", "phantom", "a hospital's own"]
    assert hints(others) == []
    for card in Catalogue.open().encoders:
        assert hints(card.pretraining) == [], card.name
