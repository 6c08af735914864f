"""Tables as CSV: nothing is lost, and no spreadsheet runs a name."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from g2d_bench.report.formats.csv import FORMULA
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Table


def test_csv_round_trips_unrounded(tables: list[Table], nasty_table: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(render(tables, "csv"))))
    values = [value for table in tables for row in table.rows for value in row.values]
    assert len(lines) == len(values)
    for line, value in zip(lines, values, strict=True):
        assert float(line["mean"]) == value.mean
        assert line["unit"] == "percent"
    assert {line["sort"] for line in lines} == {"measured", "reference"}
    nasty = list(csv.DictReader(io.StringIO(render([nasty_table], "csv"))))
    assert nasty[0]["encoder"] == nasty_table.rows[0].name
    assert nasty[2]["mean"] == ""
    assert nasty[1]["data"] == "quoted from a paper (real data)"


@pytest.mark.parametrize("name", [f"{sign}cmd|' /C calc'!A0" for sign in FORMULA] + [" =1+1", "\t@SUM(1)"])
def test_no_cell_is_a_formula(nasty_table: Table, name: str) -> None:
    """A spreadsheet strips blanks, and takes what is left for a formula by its first letter."""
    rows = tuple(replace(row, name=name) for row in nasty_table.rows)
    text = render([replace(nasty_table, title=name, rows=rows)], "csv")
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert sum(name.strip() in cell for cell in cells) == 2 * len(rows)
    assert [cell for cell in cells if cell.strip().startswith(FORMULA)] == []
