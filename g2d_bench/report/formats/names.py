"""Names of rows as all formats show them."""

from __future__ import annotations

from g2d_bench.report.model import Row
from g2d_bench.report.origin import tagged


def name_of(row: Row) -> str:
    """Return a row's name; quoted rows, and encoders that are not the model of their name, marked as such."""
    return tagged(row.name, "quoted" if row.sort == "quoted" else row.tag)
