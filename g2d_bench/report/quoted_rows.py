"""Quoted numbers as rows of their own: marked, in no mean, never bold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.quoted import NOT_COMPARABLE, Quoted
from g2d_bench.report.model import Column, Row, Value

MARK = "†"
"""Stands at a quoted number that may not be compared with the measured ones of its column."""
ON_PHANTOM = (
    "quoted rows were measured on real data by others; beside generated data they stand for the shape of the "
    "table only and must not be compared"
)


def quoted_rows(
    columns: Sequence[Column],
    cells: Iterable[Quoted],
    matches: Callable[[Column, Quoted], bool],
    name: Callable[[Quoted], str],
    panel: str = "",
) -> tuple[list[Row], list[str]]:
    """Lay quoted cells below a table's columns.

    Args:
        columns: of the table.
        cells: quoted numbers; flagged ones are never used.
        matches: whether a cell belongs into a column.
        name: of a cell's row.
        panel: to which the rows belong.

    Returns:
        Rows in the order of the files, and footnotes that say why a number is not comparable.
    """
    rows: dict[str, dict[int, Value]] = {}
    notes: dict[str, None] = {}
    for cell in cells:
        if not cell.usable:
            continue
        for n, column in enumerate(columns):
            if matches(column, cell):
                value, note = _value(column, cell)
                rows.setdefault(name(cell), {})[n] = value
                if note:
                    notes[f"{MARK} {note}"] = None
    made = [
        Row(
            who,
            tuple(values.get(n, Value(column, missing="not measured")) for n, column in enumerate(columns)),
            "quoted",
            panel,
        )
        for who, values in rows.items()
    ]
    return made, list(notes)


def _value(column: Column, cell: Quoted) -> tuple[Value, str]:
    scale = 100.0 if cell.unit == "percent" else 1.0
    value = Value(column, scale * cell.number, scale * cell.deviation, "printed" if cell.spread else "")
    if cell.convention != column.metric.split(PER_LABEL)[0]:
        which = "a convention that is not stated" if cell.convention == "unknown" else cell.convention
        note = f"quoted {cell.metric} of {cell.task} is {which}, not {column.metric}"
    elif cell.comparable == "no":
        note = f"quoted {cell.metric} of {cell.task}: {cell.remark.removeprefix(NOT_COMPARABLE)}"
    else:
        return value, ""
    return replace(value, marks=MARK), note


def fraction_of(cell: Quoted) -> float | None:
    """Return the share of the labels, None for zero-shot."""
    return None if cell.fraction == "zero" else float(cell.fraction)
