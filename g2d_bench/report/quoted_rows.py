"""Quoted numbers as rows of their own: marked, in no mean, never bold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.compare_quoted import same_tuning
from g2d_bench.records.quoted import FLAGS, NOT_COMPARABLE, Quoted
from g2d_bench.records.record import LEGACY
from g2d_bench.records.selection import Found
from g2d_bench.report.model import Column, Row, Value
from g2d_bench.report.origin import origins

MARK = "†"
"""Stands at a quoted number that may not be compared with the measured ones of its column."""


@dataclass(frozen=True)
class Beside:
    """What quoted numbers would stand beside.

    They may be compared with numbers on real data, under a published protocol, of encoders of published
    scale.

    Attributes:
        generated: whether the measured numbers rest on generated data.
        protocols: under which they were measured.
        small: encoders that are not, or not known to be, of published scale.
    """

    generated: bool
    protocols: tuple[str, ...]
    small: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[Found]) -> Beside | None:
        """Describe measured numbers; None where nothing was measured, so that nothing can be confused."""
        if not found:
            return None
        small = [name for name, one in origins(found).items() if one.scale != "published"]
        generated = any(one.record.data.kind == "phantom" for one in found)
        return cls(generated, tuple(sorted({one.record.cell.protocol for one in found})), tuple(small))

    @property
    def protocol(self) -> str:
        """Their protocols in words."""
        return " and ".join(self.protocols)

    @property
    def another(self) -> str:
        """Why no quoted number may be compared with any of the measured ones, "" if some may."""
        if self.generated:
            return "quoted numbers were measured on real data, the others here on generated data"
        if not all(name.startswith(LEGACY) for name in self.protocols):
            return f"quoted numbers follow published protocols, the others here follow {self.protocol}"
        return ""

    @property
    def warning(self) -> list[str]:
        """The line that says what must not be compared; none where all may be."""
        names = ", ".join(self.small)
        if not self.another:
            what, reasons = f"with {names}", ["not of published scale"] if names else []
        else:
            what = "with any measured row"
            reasons = [
                "they were measured on real data by others and show the shape of the published table only"
                if self.generated
                else f"protocol {self.protocol} is not the published one (see --protocol legacy)",
                *([f"not of published scale: {names}"] if names else []),
            ]
        return [f"rows marked [quoted] must not be compared {what}: {'; '.join(reasons)}"] if reasons else []


def quoted_rows(
    columns: Sequence[Column],
    cells: Iterable[Quoted],
    matches: Callable[[Column, Quoted], bool],
    name: Callable[[Quoted], str],
    panel: str = "",
    *,
    beside: Beside | None = None,
) -> tuple[list[Row], list[str]]:
    """Lay quoted cells below a table's columns.

    Args:
        columns: of the table.
        cells: quoted numbers; flagged ones are never used.
        matches: whether a cell belongs into a column.
        name: of a cell's row.
        panel: to which the rows belong.
        beside: what was measured; None where nothing was.

    Returns:
        Rows in the order of the files, and footnotes that say why a number is not comparable.
    """
    rows: dict[str, dict[int, Value]] = {}
    unused: dict[tuple[str, int], str] = {}
    notes: dict[str, None] = {}
    for cell in cells:
        for n, column in enumerate(columns):
            if matches(column, cell) and not cell.usable:
                unused[name(cell), n] = FLAGS[cell.flag]
            elif matches(column, cell):
                value, note = _value(column, cell, beside)
                rows.setdefault(name(cell), {})[n] = value
                if note:
                    notes[f"{MARK} {note}"] = None
    made = [
        Row(
            who,
            tuple(
                values.get(n)
                or Value(column, missing="not measured", reason=unused.get((who, n), "not printed"))
                for n, column in enumerate(columns)
            ),
            "quoted",
            panel,
        )
        for who, values in rows.items()
    ]
    return made, list(notes)


def _value(column: Column, cell: Quoted, beside: Beside | None) -> tuple[Value, str]:
    scale = 100.0 if cell.unit == "percent" else 1.0
    value = Value(column, scale * cell.number, scale * cell.deviation, "printed" if cell.spread else "")
    if cell.convention != column.metric.split(PER_LABEL)[0]:
        which = "a convention that is not stated" if cell.convention == "unknown" else cell.convention
        note = f"quoted {cell.metric} of {cell.task} is {which}, not {column.metric}"
    elif cell.comparable == "no":
        note = f"quoted {cell.metric} of {cell.task}: {cell.remark.removeprefix(NOT_COMPARABLE)}"
    elif beside is not None and beside.another:
        note = beside.another
    elif beside is not None and not all(same_tuning(cell, name) for name in beside.protocols):
        note = f"quoted {cell.metric} of {cell.task}: {cell.protocol}, not protocol {beside.protocol}"
    else:
        return value, ""
    return replace(value, marks=MARK), note


def fraction_of(cell: Quoted) -> float | None:
    """Return the share of the labels, None for zero-shot."""
    return None if cell.fraction == "zero" else float(cell.fraction)
