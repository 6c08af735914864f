"""An audit in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from g2d_bench.data.audit_facts import Audit, Crossing, DatasetAudit, PartFacts, SharedFacts, SplitAudit
from g2d_bench.data.audit_text import render_audit, render_between

DATA = DatasetAudit("siim", "real", "/data", True, 1200, 1100, 30, 20)
PARTS = {"train": PartFacts(1000, 100, 900, 100), "test": PartFacts(200, 20, 200, 15)}


def lines(pair: SharedFacts, **changes: Any) -> list[str]:
    """The report of one split of one data set."""
    split = SplitAudit("siim", ["siim-seg"], "clean", "by patient", hash="0123456789", parts=PARTS)
    split.shared = [pair]
    return [line.strip() for line in render_audit(Audit([DATA], [replace(split, **changes)]))]


NOTHING = SharedFacts(("train", "test"), 0, 0, 0, 0, None, None)


def test_a_clean_split() -> None:
    assert lines(NOTHING) == [
        "siim (real): 1,200 images of 1,100 patients, 30 boxes on 20 of them",
        "siim-seg (clean): by patient",
        "images  positive  patients  with boxes",
        "train     1,000       100       900         100",
        "test        200        20       200          15",
        "the parts share nothing (images, patients)",
        "hash 01234567",
        "",
    ]
    assert "the parts share nothing (images, patients, files, near-duplicates)" in lines(
        replace(NOTHING, files=0, near_duplicates=0)
    )


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (
            SharedFacts(("train", "test"), 1500, 3, 1500, 1500, 1500, 0),
            ["LEAK train and test share 1,500 images (3 positive)"],
        ),
        (
            SharedFacts(("train", "test"), 0, 0, 2, 5, 0, 0),
            ["LEAK train and test share 2 patients: 5 images of test are of patients in train"],
        ),
        (
            SharedFacts(("train", "test"), 1, 0, 1, 1, 4, 2),
            [
                "LEAK train and test share 1 images (0 positive)",
                "LEAK train and test share 4 files",
                "LEAK train and test have 2 pairs of near-duplicates",
            ],
        ),
    ],
)
def test_leaks_are_told_once(pair: SharedFacts, expected: list[str]) -> None:
    assert [line for line in lines(pair) if "LEAK" in line] == expected
    assert not any("share nothing" in line for line in lines(pair))


def test_all_else_that_may_be_known_of_a_split() -> None:
    text = lines(
        NOTHING,
        unused=1234,
        incomplete={"train": (0, 5), "test": (2, 5)},
        all_empty=0.75,
        list_as_computed=False,
    )
    assert text[5:-1] == [
        "1,234 images are in no part",
        "the parts share nothing (images, patients)",
        "test: 2 of 5 positive images lack a part of their mask",
        "predicting nothing scores 75.0 by dice_legacy",
        "the id list is NOT what the rule computes here",
        "hash 01234567",
    ]
    assert lines(NOTHING, error="no lists")[1:3] == [
        "siim-seg (clean): by patient",
        "cannot be made here: no lists",
    ]


def test_several_data_sets_are_compared() -> None:
    both = Audit([replace(DATA, images_read=False, boxes=0), replace(DATA, name="rsna")])
    both.crossings = [Crossing("a (clean)", "b (clean)", 1200)]
    both.notes = ["a note"]
    text = [*render_audit(both), *render_between(both)]
    assert (
        text[0]
        == "siim (real, tables only: files and pixels are not compared): 1,200 images of 1,100 patients"
    )
    assert text[-4:] == [
        "  1,200 training images of a (clean) are test images of b (clean)",
        "images that data sets share by their ids:",
        "  none",
        "  a note",
    ]
    both.shared_images = {"rsna & siim": 1200}
    assert list(render_between(both))[-2:] == ["  rsna & siim: 1,200", "  a note"]


def test_what_cannot_be_read_has_its_line() -> None:
    found = Audit([DATA], unread={"rsna": "/data/rsna: no table"})
    assert list(render_audit(found))[-2:] == ["rsna: cannot be read: /data/rsna: no table", ""]
    assert list(render_between(found)) == []


def test_who_saw_a_data_set_is_said_below_its_name() -> None:
    seen = replace(DATA, seen_by={"films": "images", "more": "images", "told": "labels"})
    assert list(render_audit(Audit([seen])))[1:3] == [
        "  images seen in pre-training by films, more",
        "  images and labels seen in pre-training by told",
    ]
