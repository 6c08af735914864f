"""Names of rows as all formats show them."""

from __future__ import annotations

from g2d_bench.report.model import Row


def name_of(row: Row) -> str:
    """Return a row's name with its mark; see :attr:`g2d_bench.report.model.Row.title`."""
    return row.title
