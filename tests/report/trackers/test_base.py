"""What trackers are told."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from marked import fill

from g2d_bench.errors import InputError
from g2d_bench.records.record import Record
from g2d_bench.report.trackers.base import library, told_of


def test_a_cell_is_told_with_all_that_its_number_depends_on(folder: Any) -> None:
    record: Record = folder.add("g2d").record
    told = told_of(record)
    assert told.name == "GENERATED siim-seg g2d 1 % seed 0 clean [scale unknown]"
    assert told.parameters["signature"] == record.signature
    assert told.metrics["dice_positive"] == record.metrics["dice_positive"]
    assert told.metrics["seconds"] == 3.5
    assert told.tags["data"] == "generated"
    assert json.loads(told.record)["key"] == record.key
    real = told_of(folder.add("mgca", data_kind="real", metrics={"dice_positive": None}).record)
    assert "GENERATED" not in real.name
    assert real.tags["marks"] == "scale unknown"
    assert set(real.metrics) == {"seconds", "peak_memory_mb"}


def test_what_must_be_said_stands_in_name_tags_and_parameters(folder: Any) -> None:
    [*_, one] = fill(folder, {"scale", "pre-training", "leak", "defects"})
    told = told_of(one.record)
    marks = (
        "phantom-scale, ¶ pre-training saw images and labels of this data set, LEAK ALLOWED, "
        "PUBLISHED SPLIT WITH DEFECTS"
    )
    assert told.name == f"siim-seg toy 100 % seed 0 clean [{marks}]"
    assert told.tags["marks"] == marks
    said = {name: told.parameters[name] for name in ("scale", "pretraining_saw", "leaks", "split_defects")}
    assert said == {
        "scale": "phantom",
        "pretraining_saw": "labels",
        "leaks": "known twins",
        "split_defects": "three films are in two parts",
    }
    data = one.record.data.model_copy(update={"leaks": "x" * 600})
    long = told_of(one.record.model_copy(update={"data": data}))
    assert long.parameters["leaks"] == "x" * 500


def test_a_library_is_there_or_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library("json") is json
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="--tracker: wandb is not installed"):
        library("wandb")
