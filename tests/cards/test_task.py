"""Task cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from listed import CARD

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.task import SplitRule, TaskCard
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

LISTS = shipped("tasks") / "splits"
LISTED = {
    "covidx": ["covidx-cls"],
    "cxr14": ["cxr14-cls", "cxr14-ground", "cxr14-zeroshot"],
    "nih1k": ["nih1k-cls", "nih1k-zeroshot"],
    "rsna": ["rsna-cls", "rsna-det", "rsna-ground", "rsna-seg", "rsna-zeroshot"],
    "siim": ["siim-ground", "siim-seg", "siim-zeroshot"],
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open()


def test_cards_name_the_list_of_their_data_set() -> None:
    for task in Catalogue.open().tasks:
        ids = task.split["clean"].ids
        assert (ids is not None) == ((task.inside or task.name) in LISTED.get(task.dataset, []))
        # The boxed films of ChestX-ray14 all lie in its test part: they are divided among themselves.
        name = "cxr14-ground" if task.name == "cxr14-ground" else f"{task.dataset}-clean"
        assert ids is None or ids == LISTS / f"{name}.csv.gz"
        assert all(rule.ids is None for name, rule in task.split.items() if name != "clean")


def test_which_tasks_read_masks(catalogue: Catalogue) -> None:
    masked = {task.name for task in catalogue.tasks if task.masked}
    assert {"siim-seg", "rsna-seg", "jsrt-heart-seg", "rsna-ground", "siim-ground"} <= masked
    assert not {"cxr14-ground", "chestxdet10-ground", "rsna-det", "ms-cxr-phrase"} & masked


def test_list_does_not_move_the_digest_of_the_card(listed_card: TaskCard) -> None:
    rule = listed_card.split["clean"]
    bare = listed_card.model_copy(update={"split": {"clean": rule.model_copy(update={"ids": None})}})
    assert bare.digest("clean") == listed_card.digest("clean")
    other = listed_card.model_copy(update={"split": {"clean": rule.model_copy(update={"val_share": 0.5})}})
    assert other.digest("clean") != listed_card.digest("clean")


def test_a_copy_of_a_shipped_card_finds_the_shipped_list(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text((shipped("tasks") / "siim-seg.toml").read_text())
    copied = load_card(tmp_path / "mine.toml", TaskCard)
    assert copied.split["clean"].ids == LISTS / "siim-clean.csv.gz"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("own.csv.gz", "owm.csv.gz", r"own\.toml: split\.clean\.ids: no such id list: .*owm\.csv\.gz"),
        ("ratios = [0.5, 0.25, 0.25]", 'function = "rsna_det"', "made by its function; leave ids out"),
    ],
)
def test_wrong_cards(listed_card: TaskCard, tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(CARD.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_card(tmp_path / "own.toml", TaskCard)


def test_val_share_needs_an_official_split() -> None:
    with pytest.raises(ValueError, match="goes with official"):
        SplitRule(ratios=(0.5, 0.25, 0.25), val_share=0.1)


GOOD: dict[str, Any] = {
    "name": "x",
    "version": "1.0",
    "title": "x",
    "kind": "classification",
    "dataset": "rsna",
    "labels": ["Pneumonia"],
    "metrics": ["auroc"],
    "main": "auroc",
    "split": {"clean": {"ratios": [0.5, 0.25, 0.25]}},
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dataset": "rsnaa"}, "unknown data set 'rsnaa'; did you mean 'rsna'"),
        ({"metrics": ["aroc"]}, "unknown metric 'aroc'; did you mean 'auroc'"),
        (
            {"kind": "segmentation", "labels": ["Left Lung", "Right Lung"], "metrics": ["dice_positive"]},
            r"labels\s.*kind 'segmentation' takes one label, not 2",
        ),
        (
            {"metrics": ["auroc", "dice_positive"]},
            "metric 'dice_positive' reads intersection, predicted, true, which records of such a class",
        ),
        (
            {"kind": "segmentation", "metrics": ["dice_positive", "cnr"], "main": "dice_positive"},
            "'cnr' reads .*inside_mean.*; allowed: dice_legacy, dice_legacy_batched, dice_p",
        ),
        ({"main": "auprc"}, r"main = 'auprc' is not among metrics \(auroc\)"),
        ({"uncertain": {"Pneumona": 1}}, "uncertain names 'Pneumona'; did you mean 'Pneumonia'"),
        ({"split": {"legacy": {"official": True}}}, r"split\.clean is missing"),
        ({"fractions": [0.0]}, "fractions must lie above 0"),
        ({"fractions": [1.5]}, "fractions must lie above 0 and at most at 1"),
        ({"labels": []}, "at least 1 item"),
        ({"version": "1"}, 'want a version in quotes, such as "1.0"'),
        ({"split": {"clean": {}}}, "give exactly one of ratios"),
        ({"split": {"clean": {"official": True, "ratios": [0.5, 0.25, 0.25]}}}, "give exactly one of"),
        ({"split": {"clean": {"ratios": [0.5, 0.5, 0.0]}}}, "three positive shares that add up to 1"),
        ({"split": {"clean": {"ratios": [0.5, 0.2, 0.2]}}}, "three positive shares that add up to 1"),
        ({"split": {"clean": {"official": True, "balance": True}}}, "balance goes with function"),
    ],
)
def test_a_card_that_contradicts_itself(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TaskCard.model_validate(GOOD | change)


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"title": "y", "papers": ["z"], "notes": ["z"], "counts": {"images": 3}, "fractions": [0.5]}, False),
        ({"split": {"clean": {"ratios": [0.5, 0.25, 0.25], "defects": ["z"]}}}, False),
        ({"split": GOOD["split"] | {"legacy": {"function": "rsna_det"}}}, False),
        ({"unmentioned": 0}, True),
        ({"where": {"view": "frontal"}}, True),
        ({"split": {"clean": {"ratios": [0.6, 0.2, 0.2]}}}, True),
        ({"version": "1.1"}, True),
    ],
)
def test_digest_moves_with_what_moves_numbers(change: dict[str, Any], moves: bool) -> None:
    before = TaskCard.model_validate(GOOD).digest("clean")
    assert (TaskCard.model_validate(GOOD | change).digest("clean") != before) == moves


def test_digest_changes_with_what_moves_a_number_only(catalogue: Catalogue) -> None:
    card = catalogue.tasks["siim-seg"]
    assert card.digest("clean") == card.model_copy(update={"title": "x", "papers": ("y",)}).digest("clean")
    assert card.digest("clean") != card.model_copy(update={"eval_size": 128}).digest("clean")
    assert card.digest("clean") != card.digest("legacy")
    protocol = catalogue.protocols["clean"]
    assert protocol.table("segmentation") is not None
    other = protocol.table("segmentation").model_copy(update={"threshold": 0.4})
    changed = protocol.model_copy(update={"segmentation": other})
    assert protocol.digest("segmentation") != changed.digest("segmentation")
    # A number of another kind has nothing to do with it.
    assert protocol.digest("detection") == changed.digest("detection")
    renamed = protocol.model_copy(update={"main": {"detection": "ap_50"}})
    assert protocol.digest("detection") != renamed.digest("detection")
    assert protocol.digest("segmentation") == renamed.digest("segmentation")


def test_digest_leaves_out_what_a_card_does_not_say(catalogue: Catalogue) -> None:
    class Later(TaskCard):
        added: int = 3

    card = catalogue.tasks["siim-seg"]
    given = {name: getattr(card, name) for name in card.model_fields_set}
    assert Later(**given).digest("clean") == card.digest("clean")
    assert Later(**given, added=3).digest("clean") == card.digest("clean")
    assert Later(**given, added=4).digest("clean") != card.digest("clean")


ELSEWHERE = {"dataset": "cxr14", "labels": {"Pneumonia": "Pneumonia"}}


def test_a_task_that_is_tested_elsewhere_names_both(catalogue: Catalogue) -> None:
    card = catalogue.tasks["rsna-to-cxr14-cls"]
    assert (card.data_name, card.drawn_as) == ("rsna-to-cxr14", "rsna-cls")
    assert card.test is not None
    own = card.test.model_copy(update={"training": "phantom", "labels": {"Pneumonia": ("Mass", "Edema")}})
    other = card.model_copy(update={"test": own, "inside": ""})
    assert (other.data_name, other.drawn_as) == ("phantom-rsna-to-cxr14", "rsna-to-cxr14-cls")
    assert own.their_labels == {"Pneumonia": ("Mass", "Edema")}
    alone = catalogue.tasks["rsna-cls"]
    assert (alone.data_name, alone.drawn_as) == ("rsna", "rsna-cls")
    assert len({one.digest("clean") for one in (card, other, alone)}) == 3


ASKED = {"kind": "zero-shot", "prompts": "findings"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (ASKED | {"metrics": ["auroc", "ece"]}, "'ece' is of probabilities, which kind 'zero-shot' does not"),
        (ASKED | {"metrics": ["auroc", "dice_positive"]}, "'dice_positive' reads intersection"),
        (
            ASKED
            | {"kind": "grounding", "metrics": ["pointing_by_category"], "main": "pointing_by_category"},
            "reads category, which records of such a grounding task .* did you mean 'pointing_at_medklip'",
        ),
        (
            {"kind": "retrieval", "metrics": ["i2t_r1", "t2i_class_p5"], "main": "i2t_r1"},
            "'t2i_class_p5' reads text_level, text_label, which records of such a retrieval task",
        ),
    ],
)
def test_a_metric_that_needs_another_card(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TaskCard.model_validate(GOOD | change)


def test_where_an_id_list_lies_moves_no_digest(catalogue: Catalogue) -> None:
    card = catalogue.tasks["cxr14-to-rsna-cls"]
    assert card.test is not None
    assert card.test.split is not None
    moved = card.test.split.model_copy(update={"ids": Path("/elsewhere/list.csv"), "defects": ("z",)})
    other = card.model_copy(update={"test": card.test.model_copy(update={"split": moved})})
    assert other.digest("clean") == card.digest("clean")


def test_inside_tasks_of_the_shipped_cards_train_alike(catalogue: Catalogue) -> None:
    cards = [card for card in catalogue.tasks if card.inside]
    assert {card.name for card in cards} == {
        "rsna-to-cxr14-cls",
        "rsna-to-nih1k-cls",
        "cxr14-to-rsna-cls",
        "chexpert-to-cxr14-cls",
    }
    for card in cards:
        inside = catalogue.tasks[card.inside]
        assert card.split["clean"] == inside.split["clean"]
        assert (card.labels, card.metrics, card.dataset) == (inside.labels, inside.metrics, inside.dataset)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        (
            "classification",
            {"labels": {"Mass": "Mass"}},
            "every label, and no other one; see Mass, Pneumonia",
        ),
        ("classification", {"dataset": "cxr15"}, "unknown data set 'cxr15'"),
        ("classification", {"labels": {"Pneumonia": []}}, "a label without a counterpart"),
        (
            "classification",
            {"labels": {"Pneumonia": ["Infiltration", "Mass"]}, "uncertain": {"Infiltraton": 1}},
            "uncertain names 'Infiltraton'; did you mean 'Infiltration'",
        ),
        ("classification", {"split": {"function": "rsna_det"}}, "belongs to its own data set"),
        ("grounding", {}, "trains nothing; write a task on that data set"),
    ],
)
def test_a_test_elsewhere_that_cannot_be(
    catalogue: Catalogue, kind: str, change: dict[str, Any], says: str
) -> None:
    card = catalogue.tasks["rsna-cls" if kind == "classification" else "rsna-ground"]
    own = {name: getattr(card, name) for name in card.model_fields_set}
    own["split"] = {"clean": {"ratios": [0.5, 0.25, 0.25]}}
    with pytest.raises(ValueError, match=says):
        TaskCard.model_validate(own | {"test": ELSEWHERE | change})
