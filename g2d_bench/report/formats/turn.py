"""A table turned on its side: one line per column, encoders side by side. Many tasks fit a page so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from g2d_bench.report.formats.names import name_of
from g2d_bench.report.model import INTERVAL, Column, Row, Table, Value

TRIVIAL = "trivial"
"""Heading of the one column for all trivial predictors; each number names its predictor."""


def turn(table: Table) -> Table:
    """Swap lines and columns.

    The coarsest heading of a column becomes the panel of its line, the others its name. Trivial predictors
    of different kinds of tasks share the last column: the best of each line, named behind its number.
    Intervals are left out, they would double every line.

    Args:
        table: with one panel of rows.

    Returns:
        A table for readers; programs are given the other one.
    """
    shown = [row for row in table.rows if row.sort != "reference"]
    trivial = [row for row in table.rows if row.sort == "reference"]
    names = [*map(name_of, shown), *([TRIVIAL] if trivial else [])]
    rows = []
    for n, column in enumerate(table.columns):
        values = [row.values[n] for row in shown]
        values += [_best_of([(row.name, row.values[n]) for row in trivial])] if trivial else []
        panel, name = column.heads[0], " · ".join(column.heads[1:])
        plain = tuple(replace(value, low=math.nan, high=math.nan) for value in values)
        rows.append(Row(name, plain, panel=panel))
    return replace(
        table,
        columns=tuple(Column("", 0.0, "", "", (name,)) for name in names),
        rows=tuple(rows),
        facts=tuple(fact for fact in table.facts if fact != INTERVAL),
        turned=False,
        stub="task",
    )


def _best_of(named: Sequence[tuple[str, Value]]) -> Value:
    """Choose the best trivial predictor of a line and write its name behind the number."""
    known = [(name, value) for name, value in named if not value.missing]
    if not known:
        return named[0][1]
    sign = 1 if known[0][1].column.spec.higher_is_better else -1
    name, value = max(known, key=lambda one: sign * one[1].mean)
    return replace(value, marks=name)
