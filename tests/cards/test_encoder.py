from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import LIBRARY, EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

GOOD = """
title = "Test"
objective = "mgca"
scale = "published"
[image]
model = "resnet50"
size = 224
mean = [0.1, 0.2, 0.3]
std = 0.5
[[checkpoint]]
layout = "lightning"
container = "state_dict"
prefix = "img_encoder_q.model."
expect = 318
[text]
source = "hf-hub:emilyalsentzer/Bio_ClinicalBERT"
"""


def write(folder: Path, text: str, name: str = "test.r50.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_card(path, EncoderCard)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_good_card(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, GOOD), EncoderCard)
    assert card.name == "test.r50"
    assert card.mean == (0.1, 0.2, 0.3)
    assert card.std == (0.5, 0.5, 0.5)
    assert card.checkpoint[0].prefix == "img_encoder_q.model."
    assert card.image.resize_inside is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("std = 0.5", "stdd = 0.5", "image.stdd: unknown key; did you mean 'std'?"),
        ("prefix =", "prefx =", "checkpoint[0].prefx: unknown key; did you mean 'prefix'?"),
        (
            'title = "Test"',
            'titel = "Test"',
            "titel: unknown key; did you mean 'title'? (and 1 more problem)",
        ),
        ("source =", "sorce =", "text.sorce: unknown key; did you mean 'source'? (and 1 more problem)"),
        (
            'objective = "mgca"',
            'objective = "mgac"',
            "objective: unknown objective 'mgac'; did you mean 'mgca'?",
        ),
        (
            'container = "state_dict"',
            "container = 3",
            "checkpoint[0].container: Input should be a valid string",
        ),
        ('title = "Test"', "", "title: required key is missing"),
        ("size = 224", "size = 'big'", "image.size: Input should be a valid integer"),
        ("size = 224", "size = 8", "image.size: Input should be greater than or equal to 32 (got 8)"),
        ("std = 0.5", "std = 0.0", "image.std: must be above 0 (got 0.0)"),
        ("std = 0.5", "std = [0.5, 0.5]", "image.std: "),
        ("hf-hub:", "hub:", "text.source: must be 'shipped', 'library', 'hf-hub:NAME' or"),
        ('scale = "pub', 'weights = "a/b"\nscale = "pub', "weights: must be 'none', 'timm:MODEL.TAG'"),
    ],
)
def test_wrong_card_is_one_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    assert refusal(write(tmp_path, GOOD.replace(old, new))).startswith(expected)


def test_digest_changes_with_what_moves_numbers(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, GOOD), EncoderCard)
    prose = {'title = "Test"': 'title = "Other"', "expect = 318": 'expect = 318\nnote = "from somewhere"'}
    for old, new in prose.items():
        assert load_card(write(tmp_path, GOOD.replace(old, new)), EncoderCard).digest == card.digest
    for old, new in {
        "size = 224": "size = 256",
        "std = 0.5": "std = 0.4",
        "expect = 318": "expect = 317",
    }.items():
        assert load_card(write(tmp_path, GOOD.replace(old, new)), EncoderCard).digest != card.digest


def test_cards_that_nothing_could_load(tmp_path: Path) -> None:
    bare = GOOD[: GOOD.index("[[checkpoint]]")]
    assert "needs 'weights' or at least one" in refusal(write(tmp_path, bare))
    twice = GOOD + '[[checkpoint]]\nlayout = "lightning"\nexpect = 318\n'
    assert "two checkpoint layouts share a name" in refusal(write(tmp_path, twice))


def test_name_must_follow_the_grammar(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, GOOD, "My Card.toml")).startswith("name: ")


def test_every_shipped_card_loads_and_is_complete() -> None:
    cards = {card.name: card for card in Catalogue.open().encoders}
    phantom = {"random", "convirt", "gloria", "mgca", "g2d"}
    published = {
        *("random.r50", "imagenet.r50", "imagenet.vit-b16", "gloria.chexpert-r50", "gloria.mimic-r50"),
        *("mgca.r50", "mgca.vit-b16", "convirt.benchx-r50", "g2d.r50", "biovil.r50", "medklip.r50"),
        *("mflag.r50", "mrm.vit-b16"),
    }
    assert phantom | published <= cards.keys()
    for name, card in cards.items():
        assert card.name == name
        assert (card.scale == "phantom") == (name in phantom)
        assert card.paper or card.objective in ("none", "supervised")
        assert card.licence or card.objective == "none"
    small = {name: cards[name].image for name in phantom}
    assert all(image == small["random"] for image in small.values()), (
        "equal terms: one architecture and input"
    )
    assert load_card(shipped("baselines") / "g2d.toml", EncoderCard) == cards["g2d"]


def test_layouts_expect_all_entries_unless_they_say_what_may_lack() -> None:
    for card in Catalogue.open().encoders:
        whole = {"resnet50": 318, "vit_base_patch16_224": 150}.get(card.image.model)
        if whole is None:
            # tests/encoders/test_load_compared.py counts what other models have.
            continue
        for layout in card.checkpoint:
            stated = layout.expect or 0
            assert stated == whole or (layout.missing_ok and stated < (whole or 0)), card.name


def test_every_method_has_a_text_side_or_says_why_not() -> None:
    for card in Catalogue.open().encoders:
        if card.scale == "published" and card.objective not in ("none", "supervised"):
            assert bool(card.text) != bool(card.no_text), card.name
            whole = card.image.library == "open_clip" or (card.text and card.text.source == LIBRARY)
            apart = any(layout.text for layout in card.checkpoint)
            assert bool(card.text) == bool(apart or whole), card.name
            assert card.local_features, card.name


PART = """
[checkpoint.text]
names = { "text." = "" }
[checkpoint.heads]
names = { "proj." = "image." }
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[checkpoint.heads]", "[checkpoint.head]", "checkpoint[0].head: unknown key; did you mean 'heads'?"),
        (
            '[checkpoint.heads]\nnames = { "proj." = "image." }',
            "",
            "checkpoint[0]: text and heads are of use tog",
        ),
        (
            'names = { "proj." = "image." }',
            "names = {}",
            "checkpoint[0].heads.names: Dictionary should have at",
        ),
        (
            '"hf-hub:emilyalsentzer/Bio_ClinicalBERT"',
            '"shipped"',
            "a layout has a text encoder; [text] must say",
        ),
        ("[text]\n", '[text]\nmodel = "no bert"\n', "text.model: must be the model_type"),
        (
            'scale = "pub',
            'no_text = "none"\nscale = "pub',
            "'no_text' says why there is no [text], but there is",
        ),
    ],
)
def test_wrong_text_side_is_one_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    good = GOOD.replace("[text]", PART + "[text]")
    card = load_card(write(tmp_path, good), EncoderCard)
    assert card.checkpoint[0].text is not None
    assert card.digest != load_card(write(tmp_path, GOOD), EncoderCard).digest
    unseen = good.replace("[checkpoint.heads]\n", "[checkpoint.heads]\nseen = false\n")
    assert load_card(write(tmp_path, unseen), EncoderCard).digest == card.digest
    assert good.count(old) == 1
    assert refusal(write(tmp_path, good.replace(old, new))).startswith(expected)
