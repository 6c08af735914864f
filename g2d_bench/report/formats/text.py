"""A table as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from g2d_bench.report.formats.base import Format
from g2d_bench.report.formats.names import name_of
from g2d_bench.report.look import parts
from g2d_bench.report.model import GENERATED, Row, Table

WIDE = 120
"""Characters from which intervals stand below the numbers and not beside them."""


def render(table: Table) -> str:
    """Lay out one table; rules part panels, quoted rows and trivial predictors."""
    lines = [
        table.title,
        *([GENERATED] if table.generated else []),
        *table.warnings,
        *table.facts,
        *([f"* {table.best}"] if table.tested else []),
    ]
    for part in parts(table):
        lines += ["", *_grid(part, stacked=table.narrow)]
    lines += ["", *table.notes, *(f"signature {signature}" for signature in table.signatures)]
    return "\n".join(lines).rstrip()


def _grid(table: Table, *, stacked: bool) -> list[str]:
    heads = _heads(table)
    body = [[[cell] for cell in [name_of(row), *map(str, row.values)]] for row in table.rows]
    if stacked or sum(_widths(heads, body)) + 2 * len(table.columns) > WIDE:
        body = [_two_lines(row) for row in table.rows]
    widths = _widths(heads, body)
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [
        *(_group_line(level, widths) for level in heads[:-1]),
        _line(heads[-1], widths),
    ]
    before: tuple[str, str] | None = None
    for row, cells in zip(table.rows, body, strict=True):
        here = (row.panel, row.sort)
        if here != before:
            new_panel = row.panel and (before is None or before[0] != row.panel)
            lines += [rule, *([row.panel] if new_panel else [])]
        before = here
        height = max(map(len, cells))
        lines += [_line([cell[n] if n < len(cell) else "" for cell in cells], widths) for n in range(height)]
    return lines


def _two_lines(row: Row) -> list[list[str]]:
    return [
        [name_of(row)],
        *([value.line, *value.below] for value in row.values),
    ]


def _heads(table: Table) -> list[list[str]]:
    """Return heading levels; shorter headings stand at the bottom."""
    depth = max((len(column.heads) for column in table.columns), default=1)
    full = [("",) * (depth - len(column.heads)) + column.heads for column in table.columns]
    levels = [["", *(head[level] for head in full)] for level in range(depth)]
    levels[-1][0] = table.stub
    return levels


def _groups(level: Sequence[str]) -> list[tuple[str, int]]:
    return [(name, len(list(part))) for name, part in groupby(level[1:])]


def _widths(heads: Sequence[Sequence[str]], body: Sequence[Sequence[Sequence[str]]]) -> list[int]:
    """Return column widths; the last column of a group takes what its heading needs."""
    widths = [len(head) for head in heads[-1]]
    for cells in body:
        widths = [max([width, *map(len, cell)]) for width, cell in zip(widths, cells, strict=True)]
    for level in heads[:-1]:
        at = 1
        for name, count in _groups(level):
            room = sum(widths[at : at + count]) + 2 * (count - 1)
            widths[at + count - 1] += max(0, len(name) - room)
            at += count
    return widths


def _group_line(level: Sequence[str], widths: Sequence[int]) -> str:
    cells, at = ["".ljust(widths[0])], 1
    for name, count in _groups(level):
        room = sum(widths[at : at + count]) + 2 * (count - 1)
        cells.append(f" {name} ".center(room, "-") if name and count > 1 else name.rjust(room))
        at += count
    return "  ".join(cells).rstrip()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()


FORMAT = Format.of_one(render)
