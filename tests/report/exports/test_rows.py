"""All records as rows."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.records.selection import select
from g2d_bench.report.exports.base import Request
from g2d_bench.report.exports.rows import COLUMNS, TYPES, frame, rows


def test_a_row_per_metric_says_all_of_the_record(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, seeds=2)
    found = select(folder.root)
    made = list(rows(Request(found)))
    assert len(made) == 2 * len(found[0].record.metrics)
    first = made[0]
    assert tuple(first) == COLUMNS
    assert first["value"] == found[0].record.metrics[first["metric"]]
    assert first["low"] < first["value"] < first["high"]
    assert (first["data"], first["task_version"], first["suite"]) == ("generated", "1.0", "0.1.0")
    assert first["key"] == found[0].record.key
    assert all(row["low"] is None for row in rows(Request(found, intervals=False)))


def test_a_frame_has_the_same_types_whatever_is_in_it(folder: Any) -> None:
    assert sorted(name for names in TYPES.values() for name in names) == sorted(COLUMNS)
    folder.add("g2d", metrics={"dice_positive": None}, notes={"n/a": "no text encoder"})
    (found,) = select(folder.root)
    empty, whole = frame(Request([found], intervals=False)), frame(Request([], intervals=False))
    assert list(empty.dtypes) == list(whole.dtypes)
    assert empty["value"].isna().all()
    assert empty["reason"][0] == "no text encoder"
    assert empty["pretraining"][0] == "unknown"
    assert empty["seed"][0] == 0


def test_why_a_metric_is_undefined_is_a_reason(folder: Any) -> None:
    folder.add(
        "g2d",
        metrics={"dice_positive": None},
        notes={"undefined": {"dice_positive": "empty"}},
    )
    (row,) = rows(Request(select(folder.root)))
    assert row["reason"] == "empty"
    with pytest.raises(KeyError):
        row["nothing"]
