"""Records as CSV, as pandas reads them."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from g2d_bench.records.selection import select
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request
from g2d_bench.report.exports.rows import COLUMNS, rows


def test_pandas_reads_the_very_numbers(folder: Any) -> None:
    folder.grid({"g2d": 0.6, "random": 0.4}, seeds=1)
    request = Request(select(folder.root))
    (data,) = EXPORTS["csv"].write(request).values()
    read = pd.read_csv(io.BytesIO(data))
    assert tuple(read.columns) == COLUMNS
    assert read["value"].tolist() == [row["value"] for row in rows(request)]
    assert set(read["encoder"]) == {"g2d", "random"}


def test_no_spreadsheet_runs_a_name(folder: Any) -> None:
    folder.add("=1+1")
    (data,) = EXPORTS["csv"].write(Request(select(folder.root), intervals=False)).values()
    assert b"'=1+1" in data
