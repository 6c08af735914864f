"""Tables that the formats write: one that was measured, and one all of whose names are nasty."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.records.selection import select
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.report.table import blocks

NASTY = "a_b & $c$ {d} <script> \\x | #1 ~ ^ % \"q\" 'r' `s` * [t] € ß"


@pytest.fixture
def tables(folder: Any) -> list[Table]:
    folder.grid({"random": 0.4, "g2d": 0.6, "mgca": 0.597}, (0.01, 0.1))
    return blocks(select(folder.root), ["random"], metrics={})


@pytest.fixture
def nasty_table() -> Table:
    """Return one with an empty column, a quoted row and a trivial predictor."""
    column = Column("t", 0.01, "dice_positive", "p", (NASTY, "dice_positive"))
    rows = (
        Row(NASTY, (Value(column, 61.24, 1.0, "seeds", 58.0, 64.0, (0, 1), best=True, marks="a"),)),
        Row(NASTY, (Value(column, 12.0, marks="†"),), "quoted"),
        Row("all-empty", (Value(column, missing="not measured"),), "reference"),
    )
    return Table(NASTY, (column,), rows, True, (NASTY,), (NASTY,), (NASTY,))
