"""Tables as CSV, one line per number."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from g2d_bench.report.formats.base import Format
from g2d_bench.report.formats.flat import lines_of
from g2d_bench.report.model import Table

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a cell that spreadsheets take for a formula, full-width ones included."""


def to_csv(tables: Sequence[Table]) -> str:
    """Write one line per number, unrounded; percent where ``unit`` says so. Empty is missing."""
    stream = io.StringIO()
    lines = [
        {name: no_formula(item) for name, item in line.items()}
        for table in tables
        for line in lines_of(table)
    ]
    writer = csv.DictWriter(stream, list(lines[0]) if lines else ["table"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue().rstrip("\n")


def no_formula(item: Any) -> Any:
    """Put a quotation mark before text that a spreadsheet would take for a formula and run."""
    return "'" + item if isinstance(item, str) and item.lstrip().startswith(FORMULA) else item


FORMAT = Format(to_csv, for_programs=True)
