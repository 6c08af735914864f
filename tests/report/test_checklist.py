"""Every item of both guidelines has a place, and what records know stands in it."""

from __future__ import annotations

import re
from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.records.selection import select
from g2d_bench.report.checklist import AUTHORS, ITEMS, Study, fill
from g2d_bench.report.exports.base import Request, numbers

LETTERS = {3: "c", 5: "b", 6: "c", 8: "c", 9: "c", 12: "g", 18: "f", 20: "c", 23: "b", 27: "c"}
"""Which items of TRIPOD+AI have parts, and the letter of the last."""


def answers(folder: Any) -> dict[str, str]:
    found = select(folder.root)
    main = {("siim-seg", "clean"): "dice_positive"}
    made = fill(Study(found, list(numbers(Request(found, main))), Catalogue.open()))
    return {one.item.topic: " | ".join(one.lines) for one in made}


def parts(number: int) -> set[str]:
    """Return the names of an item's parts, or its own where it has none."""
    last = LETTERS.get(number, "")
    return {f"{number}{chr(letter)}" for letter in range(ord("a"), ord(last) + 1)} if last else {f"{number}"}


def covered(texts: list[str]) -> set[str]:
    """Return the parts in lists of ranges such as ``1-3, 7a-c``."""
    found: set[str] = set()
    for text in filter(None, texts):
        for one in text.split(", "):
            match = re.fullmatch(r"(\d+)(?:-(\d+)|([a-z])(?:-([a-z]))?)?", one)
            assert match, one
            first, last, letter, until = match.groups()
            if letter:
                found |= {f"{first}{chr(c)}" for c in range(ord(letter), ord(until or letter) + 1)}
            else:
                found |= set().union(*(parts(n) for n in range(int(first), int(last or first) + 1)))
    return found


def test_no_item_of_either_guideline_is_left_out() -> None:
    assert covered([item.claim for item in ITEMS]) == set().union(*map(parts, range(1, 45)))
    assert covered([item.tripod for item in ITEMS]) == set().union(*map(parts, range(1, 28)))
    assert len({item.topic for item in ITEMS}) == len(ITEMS)


def test_what_records_know_is_said(folder: Any) -> None:
    folder.grid({"g2d": 0.6, "random": 0.4}, (0.01, 0.1))
    said = answers(folder)
    assert "GENERATED DATA" in said["sources of data"]
    assert "1 %, 10 % of the labels" in said["subsets of data"]
    assert "seeds 0, 1, 2" in said["subsets of data"]
    assert "siim-seg: 60 test images" in said["size of the test set"]
    assert "at random in the ratio" in said["assignment to training, validation and test"]
    assert "Pneumothorax" in said["reference standard"]
    assert "by patient" in said["at which level these are disjoint"]
    assert "dice_positive: mean Dice" in said["measures of performance"]
    assert re.search(r"g2d dice_positive 6\d\.\d \[\d", said["performance with its uncertainty"])
    assert "torch 2.15.0" in said["software that makes the predictions"]
    assert "commits 0123456789ab" in said["availability of code, weights, data"]
    assert "12 cells" in said["machines and time"]
    assert said["background, clinical role, aims"] == AUTHORS
    assert f"{AUTHORS}: age, sex" in said["numbers included, characteristics of each part"]


def test_tasks_without_training_are_trained_on_nothing(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1))
    asked = folder.add("g2d", task="rsna-zeroshot", fraction=1.0, seed=7)
    record = asked.record.model_copy(update={"kind": "zero-shot", "predictions": None})
    folder.store.save(asked.path, record, {})
    said = answers(folder)
    subsets = said["subsets of data"].split(" | ")
    assert subsets[0] == "rsna-zeroshot: without training"
    assert subsets[1].startswith("training on 1 %, 10 % of the labels; these")
    assert subsets[1].endswith("seeds 0, 1, 2")
    lines = said["performance with its uncertainty"].split(" | ")
    assert [line.partition(": ")[0] for line in lines] == [
        "rsna-zeroshot, without training, clean",
        "siim-seg, 1 %, clean",
        "siim-seg, 10 %, clean",
    ]
    assert said["training"] == f"{subsets[0]} | protocol clean (segmentation): g2d-bench show clean"


def test_a_study_without_training_has_no_subsets(folder: Any) -> None:
    asked = folder.add("g2d", task="rsna-zeroshot", fraction=1.0)
    record = asked.record.model_copy(update={"kind": "zero-shot", "predictions": None})
    folder.store.save(asked.path, record, {})
    said = answers(folder)
    assert said["subsets of data"] == said["training"] == "rsna-zeroshot: without training"


def test_what_speaks_against_a_study_is_said_as_well(folder: Any) -> None:
    found = folder.add("g2d", data_kind="real", notes={"split_defects": ["images are in two parts"]})
    part = {"scale": "published", "pretraining": ("siim",), "title": "X"}
    record = found.record.model_copy(
        update={
            "data": found.record.data.model_copy(update={"leaks": "12 patients are in two parts"}),
            "encoder": found.record.encoder.model_copy(update=part),
            "predictions": None,
        }
    )
    folder.store.save(found.path, record, {})
    said = answers(folder)
    assert "NOT disjoint: 12 patients" in said["at which level these are disjoint"]
    assert "has seen images of siim in pre-training" in said["internal and external test data, contamination"]
    labelled = {**part, "pretraining": ("siim:labels",)}
    encoder = record.encoder.model_copy(update=labelled)
    folder.store.save(found.path, record.model_copy(update={"encoder": encoder}), {})
    seen = answers(folder)["internal and external test data, contamination"]
    assert "has seen images and labels of siim in pre-training" in seen
    assert "images are in two parts" in said["assignment to training, validation and test"]
    assert "by the list siim-clean.csv.gz" in said["assignment to training, validation and test"]
    assert "no redistribution" in said["sources of data"]
    assert "its card is not here" in said["model"]
