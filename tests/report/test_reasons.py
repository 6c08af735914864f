"""Why a number is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classified import classification_cell

from g2d_bench.metrics.grounding import read_maps
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.recompute import recompute
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.model import Row, Table
from g2d_bench.report.table import blocks, summary

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}


def one(tables: list[Table]) -> Table:
    assert len(tables) == 1
    return tables[0]


def row(table: Table, name: str, panel: str = "") -> Row:
    return next(r for r in table.rows if r.name == name and r.panel == panel)


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        (
            {"undefined": {"dice_positive": "no test image shows Pneumothorax"}},
            "not defined on these test images (no test image shows Pneumothorax)",
        ),
        ({}, "not defined on these test images"),
    ],
)
def test_an_undefined_metric_says_why(folder: Any, notes: dict[str, Any], reason: str) -> None:
    found = []
    for name in ("random", "g2d"):
        record = folder.add(name, seed=0).record
        metrics = record.metrics | {"dice_positive": None}
        found.append(
            Found(record.model_copy(update={"metrics": metrics, "predictions": None, "notes": notes}))
        )
    table = one(blocks(found, metrics=METRICS))
    assert str(row(table, "g2d").values[0]) == "n/a"
    assert row(table, "g2d").values[0].reason == reason


def without_numbers(folder: Any, encoder: str = "random") -> Found:
    """A record as zero-shot tasks leave it for an encoder without text."""
    found = folder.add(encoder, task="rsna-zeroshot", fraction=1.0)
    record = found.record.model_copy(
        update={
            "kind": "zero-shot",
            "metrics": dict.fromkeys(found.record.metrics),
            "references": {},
            "predictions": None,
            "notes": {"n/a": "no text encoder"},
        }
    )
    Path(found.path).with_suffix(".npz").unlink()
    return Found(folder.store.save(found.path, record, {}), found.path)


def test_a_task_that_does_not_apply_says_why(folder: Any) -> None:
    found = [without_numbers(folder), folder.add("g2d", task="rsna-zeroshot", fraction=1.0, kind="zero-shot")]
    table = one(blocks(found, metrics={}))
    assert table.title == "rsna-zeroshot · without training · protocol clean"
    assert str(row(table, "random").values[0]) == "n/a"
    assert "n/a: random in rsna-zeroshot: no text encoder" in table.notes
    assert row(table, "g2d").values[0].mean > 0
    (small,) = summary(found)
    assert small.columns[0].heads == (
        "zero-shot classification (no training)",
        "rsna-zeroshot, dice_positive",
    )


def test_every_missing_number_has_its_reason(folder: Any) -> None:
    folder.grid({"random": 0.4})
    folder.add("g2d", seed=1)
    partly = folder.add("mgca", seed=2)
    for seed in (0, 1):
        folder.add("mgca", seed=seed)
    record = partly.record.model_copy(
        update={"metrics": partly.record.metrics | {"dice_positive": None}, "predictions": None}
    )
    folder.store.save(partly.path, record, {})
    table = one(blocks(select(folder.root), metrics={"siim-seg": ("dice_positive", "no_such")}))
    assert row(table, "g2d").values[0].reason == "lacks seed 0, 2"
    assert row(table, "mgca").values[0].reason == "not defined on these test images in seed 2"
    assert row(table, "random").values[1].reason == "no record states no_such"
    assert row(table, "random").values[0].reason == ""
    missing = [value for r in table.rows for value in r.values if value.missing]
    assert all(value.reason for value in missing)
    (found,) = [without_numbers(folder)]
    value = one(blocks([found], metrics={})).rows[0].values[0]
    assert (value.missing, value.reason) == ("undefined", "no text encoder")


def test_an_undefined_metric_says_what_the_test_images_lack(folder: Any) -> None:
    path = classification_cell(folder, "g2d", 0.1, ["Edema", "Mass", "Hernia"])
    (found,) = select(folder.root)
    arrays = dict(read_predictions(path, found.record))
    arrays["targets"] = arrays["targets"].copy()
    arrays["targets"][:, 1] = 0
    record = found.record.model_copy(update={"metrics": {"auroc": None, "auprc": None}})
    (found,) = [Found(folder.store.save(path, record, arrays), path)]
    table = one(blocks([found], metrics={}))
    why = "not defined on these test images (all positive or all negative: Mass)"
    assert row(table, "g2d").values[0].reason == why
    assert table.notes == (f"n/a: auroc, auprc of g2d in cxr14-cls at 10 %: {why}",)
    # Without predictions the record's own counts tell as much as they can.
    full = folder.add("mgca", data_kind="real")
    counts = full.record.data.model_copy(update={"positive": dict(full.record.data.images)})
    bare = full.record.model_copy(
        update={"metrics": {"specificity_empty": None}, "data": counts, "predictions": None}
    )
    (note,) = one(blocks([Found(bare)], metrics={})).notes
    assert note == (
        "n/a: specificity_empty of mgca in siim-seg at 1 %: not defined on these test images "
        "(every one shows a finding)"
    )


@pytest.mark.parametrize("noted", [True, False])
def test_an_overlap_of_zero_says_that_no_cosine_reaches_a_threshold(folder: Any, noted: bool) -> None:
    """By the record's note, or, of a record of before that was noted, by its predictions."""
    why = "no cosine of its maps reaches 0.1, the lowest threshold"
    maps = [(np.full((8, 8), value), np.eye(8, dtype=bool)) for value in (0.05, 0.09, -0.3)]
    for encoder, shift in (("random", 0.0), ("g2d", 0.5)):
        arrays = read_maps([(heat + shift, truth) for heat, truth in maps], threshold=0.0)
        arrays |= {name: np.array(["a", "b", "c"]) for name in ("id", "patient")}
        found = folder.add(encoder, task="siim-ground", fraction=1.0)
        notes = {"below_all_thresholds": why} if noted and not shift else {}
        metrics = {"miou_cosine": recompute("miou_cosine", arrays)}
        changes = {"kind": "grounding", "metrics": metrics, "references": {}, "notes": notes}
        folder.store.save(found.path, found.record.model_copy(update=changes), arrays)
    table = one(blocks(select(folder.root), metrics={}))
    assert row(table, "random").values[0].mean == 0 < row(table, "g2d").values[0].mean
    assert [note for note in table.notes if why in note] == [
        f"random in siim-ground at 100 %, seed 0: miou_cosine 0.0: {why}"
    ]


def test_a_metric_that_cannot_be_computed_says_why(folder: Any) -> None:
    evidence = Evidence(0, more=("ece",))
    found = folder.add("g2d")
    table = one(blocks([found], metrics={"siim-seg": ("ece",)}, evidence=evidence))
    assert row(table, "g2d").values[0].reason == "no record states ece; the array 'scores' is missing"
