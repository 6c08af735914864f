"""Tables for programs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from g2d_bench.records.selection import select
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.report.table import blocks

NASTY = "a_b & $c$ {d} <script> \\x | #1 ~ ^ % \"q\" 'r' `s` * [t] € ß"


@pytest.fixture
def tables(folder: Any) -> list[Table]:
    folder.grid({"random": 0.4, "g2d": 0.6, "mgca": 0.597}, (0.01, 0.1))
    return blocks(select(folder.root), ["random"], metrics={})


def nasty_table() -> Table:
    column = Column("t", 0.01, "dice_positive", "p", (NASTY, "dice_positive"))
    rows = (
        Row(NASTY, (Value(column, 61.24, 1.0, "seeds", 58.0, 64.0, (0, 1), best=True, marks="a"),)),
        Row(NASTY, (Value(column, 12.0, marks="†"),), "quoted"),
        Row("all-empty", (Value(column, missing="not measured"),), "reference"),
    )
    return Table(NASTY, (column,), rows, True, (NASTY,), (NASTY,), (NASTY,))


def test_csv_round_trips_unrounded(tables: list[Table]) -> None:
    lines = list(csv.DictReader(io.StringIO(render(tables, "csv"))))
    values = [value for table in tables for row in table.rows for value in row.values]
    assert len(lines) == len(values)
    for line, value in zip(lines, values, strict=True):
        assert float(line["mean"]) == value.mean
        assert line["unit"] == "percent"
    assert {line["sort"] for line in lines} == {"measured", "reference"}
    nasty = list(csv.DictReader(io.StringIO(render([nasty_table()], "csv"))))
    assert nasty[0]["encoder"] == NASTY
    assert nasty[2]["mean"] == ""
    assert nasty[1]["data"] == "quoted from a paper (real data)"


def test_json_is_json_and_complete(tables: list[Table]) -> None:
    read = json.loads(render(tables, "json"))
    assert [table["title"] for table in read] == [table.title for table in tables]
    assert read[0]["generated"] is True
    first = read[0]["rows"][0]["values"][0]
    assert first["mean"] == tables[0].rows[0].values[0].mean
    assert first["seeds"] == [0, 1, 2]
    assert json.loads(render([nasty_table()], "json"))[0]["rows"][2]["values"][0]["mean"] is None
