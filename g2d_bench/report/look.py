"""How a table for readers looks: with or without intervals, printed names, p values, as wide as a column."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from g2d_bench.report.model import INTERVAL, Column, Row, Table, Value
from g2d_bench.report.titles import convention, metric_title

BUDGET = 56
"""Characters of a line that a column of a paper (8 cm) holds in small type, most of them digits."""
TESTED = "p values: against the best, paired bootstrap by patient, two-sided, corrected by Holm"


@dataclass(frozen=True)
class Look:
    """What readers are shown.

    Attributes:
        intervals: whether intervals stand below the numbers.
        p: whether p values do.
        narrow: whether the table has to fit a column of a paper.
        titles: whether metrics, tasks and encoders have their printed names.
        tasks: task name to printed name.
        encoders: encoder name to printed name.
    """

    intervals: bool = True
    p: bool = False
    narrow: bool = False
    titles: bool = False
    tasks: Mapping[str, str] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return self.intervals and not (self.p or self.narrow or self.titles)


def dress(table: Table, look: Look) -> Table:
    """Return a table as readers are shown it; numbers stay what they are."""
    facts = list(table.facts)
    if not look.intervals:
        facts = [fact for fact in facts if fact != INTERVAL]
    if look.p and any(not math.isnan(value.p) for row in table.rows for value in row.values):
        facts.append(TESTED)
    columns, notes = table.columns, list(table.notes)
    if look.titles:
        columns = tuple(_titled(column, look) for column in columns)
        notes += dict.fromkeys(text for column in table.columns if (text := convention(column)))
    rows = []
    for row in table.rows:
        pairs = zip(row.values, columns, strict=True)
        values = tuple(_dressed(value, column, look) for value, column in pairs)
        printed = look.encoders if look.titles and row.sort == "measured" else {}
        rows.append(replace(row, name=printed.get(row.name, row.name), values=values))
    return replace(
        table,
        title=_retitled(table, look),
        columns=columns,
        rows=tuple(rows),
        facts=tuple(facts),
        notes=tuple(notes),
        narrow=look.narrow,
        # More encoders than fit side by side into a column of a paper stand below each other.
        turned=table.turned and not look.narrow,
    )


def _dressed(value: Value, column: Column, look: Look) -> Value:
    value = replace(value, column=column, shows_p=look.p)
    return value if look.intervals else replace(value, low=math.nan, high=math.nan)


def _titled(column: Column, look: Look) -> Column:
    """Put printed names into headings, wherever the others stand in them."""
    heads = []
    for head in column.heads:
        head = re.sub(
            rf"(?<![\w-]){re.escape(column.task)}(?![\w-])",
            lambda _: look.tasks.get(column.task, column.task),
            head,
        )
        heads.append(
            re.sub(rf"(?<!\w){re.escape(column.metric)}(?!\w)", lambda _: metric_title(column), head)
        )
    # A printed name says of what kind the task is.
    coarse = heads[0].partition(" (")[0]
    said = coarse in heads[min(1, len(heads) - 1)] and len(heads) > (1 if look.narrow else 2)
    return replace(column, heads=tuple(heads[said:]))


def _retitled(table: Table, look: Look) -> str:
    first, rule, rest = table.title.partition(" · ")
    return f"{look.tasks[first]}{rule}{rest}" if look.titles and first in look.tasks else table.title


def parts(table: Table) -> list[Table]:
    """Cut a narrow table into pieces that fit a column, one below the other; others stay whole.

    Columns below one heading stay together where they fit; trivial predictors of which a piece knows nothing
    are left out of it.

    Returns:
        Pieces with headings and rows only: the rest is said once.
    """
    if not table.narrow:
        return [table]
    stub = max(len(table.stub), *(len(row.title) for row in table.rows), 1)
    widths = [_width(table, n) for n in range(len(table.columns))]
    chosen: list[list[int]] = []
    for _, group in groupby(range(len(table.columns)), key=lambda n: table.columns[n].heads[:-1]):
        members = list(group)
        room = BUDGET - stub
        if chosen and sum(widths[n] for n in chosen[-1] + members) <= room:
            chosen[-1] += members
            continue
        for n in members:
            starts = n == members[0] or sum(widths[m] for m in chosen[-1]) + widths[n] > room
            if starts:
                chosen.append([])
            chosen[-1].append(n)
    return [_piece(table, some) for some in chosen]


def _width(table: Table, n: int) -> int:
    cells = [row.values[n] for row in table.rows]
    texts = [table.columns[n].heads[-1], *(text for cell in cells for text in (cell.line, *cell.below))]
    # Where type can be bold, nothing is starred.
    return max(len(text.replace("*", "")) for text in texts) + 2


def _piece(table: Table, some: Sequence[int]) -> Table:
    rows: list[Row] = []
    for row in table.rows:
        values = tuple(row.values[n] for n in some)
        if row.sort == "measured" or any(value.missing != "not measured" for value in values):
            rows.append(replace(row, values=values))
    return replace(table, columns=tuple(table.columns[n] for n in some), rows=tuple(rows), narrow=False)
