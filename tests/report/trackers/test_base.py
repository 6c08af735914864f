"""What trackers are told."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.record import Record
from g2d_bench.report.trackers.base import library, told_of


def test_a_cell_is_told_with_all_that_its_number_depends_on(folder: Any) -> None:
    record: Record = folder.add("g2d").record
    told = told_of(record)
    assert told.name == "GENERATED siim-seg g2d 1 % seed 0 clean"
    assert told.parameters["signature"] == record.signature
    assert told.metrics["dice_positive"] == record.metrics["dice_positive"]
    assert told.metrics["seconds"] == 3.5
    assert told.tags["data"] == "generated"
    assert json.loads(told.record)["key"] == record.key
    real = told_of(folder.add("mgca", data_kind="real", metrics={"dice_positive": None}).record)
    assert "GENERATED" not in real.name
    assert set(real.metrics) == {"seconds", "peak_memory_mb"}


def test_a_library_is_there_or_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library("json") is json
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="--tracker: wandb is not installed"):
        library("wandb")
