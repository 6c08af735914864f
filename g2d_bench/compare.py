"""Has a number moved? Cells of one results folder against those of another."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from g2d_bench.errors import InputError
from g2d_bench.plan import Cell
from g2d_bench.results import Record

State = Literal["same", "moved", "missing", "signature"]
FLOOR = 0.001
"""Smallest tolerance drawn from seeds, as a share: 0.1 points."""
WIDTH = 2.0
"""Standard deviations over seeds that a cell may move."""


@dataclass(frozen=True)
class Tolerance:
    """How far a metric may move.

    Attributes:
        rule: ``seeds``, ``absolute`` (points of 100) or ``relative`` (percent of the reference).
        amount: of the last two.
    """

    rule: Literal["seeds", "absolute", "relative"]
    amount: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read ``seeds``, ``0.5`` (points) or ``2%`` (of the reference).

        Raises:
            InputError: anything else.
        """
        if text == "seeds":
            return cls("seeds")
        match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", text.strip())
        if not match:
            raise InputError(
                f"{text!r} is no tolerance; write seeds, 0.5 (points) or 2%", field="--tolerance"
            )
        return cls("relative" if match[2] else "absolute", float(match[1]))


@dataclass(frozen=True)
class Line:
    """One metric of one cell in both folders; values are shares (0 to 1)."""

    cell: Cell
    metric: str
    state: State
    before: float | None
    after: float | None
    tolerance: float
    since: str

    @property
    def moved_by(self) -> float:
        """Points of 100, NaN where one side is missing."""
        if self.before is None or self.after is None:
            return math.nan
        return 100 * (self.after - self.before)

    def __str__(self) -> str:
        where = f"{self.cell}: {self.metric}"
        if self.state == "missing":
            return f"{where}: not in the compared folder (run it, or add --run)"
        if self.state == "signature":
            return f"{where}: signatures differ: {self.since}"
        before = "n/a" if self.before is None else f"{100 * self.before:.2f}"
        after = "n/a" if self.after is None else f"{100 * self.after:.2f}"
        text = f"{where}: {before} -> {after} ({self.moved_by:+.2f}, tolerance {100 * self.tolerance:.2f})"
        return text + (f" since {self.since}" if self.state == "moved" and self.since else "")


def by_cell(records: Iterable[Record], where: str) -> dict[Cell, Record]:
    """Index records by cell.

    Raises:
        InputError: one cell has two records.
    """
    found: dict[Cell, Record] = {}
    for record in records:
        cell = Cell(**record.cell.model_dump())
        if cell in found:
            raise InputError(
                f"two records for one cell: {cell} (keys {found[cell].key[:8]} and {record.key[:8]})",
                file=where,
            )
        found[cell] = record
    return found


def compare(reference: dict[Cell, Record], measured: dict[Cell, Record], tolerance: Tolerance) -> list[Line]:
    """Compare every cell of the reference with its repeat.

    Args:
        reference: the numbers to keep.
        measured: the numbers of now; cells that the reference lacks are not compared.
        tolerance: how far a metric may move.

    Returns:
        One line per metric and cell of the reference.
    """
    allowed = _Allowed(reference, tolerance)
    lines: list[Line] = []
    for cell, old in sorted(reference.items()):
        new = measured.get(cell)
        for metric, before in old.metrics.items():
            limit = allowed(cell, metric, before)
            if new is None:
                lines.append(Line(cell, metric, "missing", before, None, limit, ""))
            elif new.signature != old.signature:
                lines.append(Line(cell, metric, "signature", before, None, limit, _differences(old, new)))
            else:
                after = new.metrics.get(metric)
                same = before == after or (
                    before is not None and after is not None and abs(after - before) <= limit + 1e-12
                )
                state: State = "same" if same else "moved"
                lines.append(Line(cell, metric, state, before, after, limit, _versions(old, new)))
    return lines


def _differences(old: Record, new: Record) -> str:
    pairs = zip(old.signature.split("|"), new.signature.split("|"), strict=False)
    return ", ".join(f"{a} -> {b}" for a, b in pairs if a != b)


def _versions(old: Record, new: Record) -> str:
    changed = [
        f"{name} {old.versions.get(name, 'absent')} -> {new.versions.get(name, 'absent')}"
        for name in sorted({*old.versions, *new.versions})
        if old.versions.get(name) != new.versions.get(name)
    ]
    if old.commit != new.commit:
        changed.insert(0, f"commit {old.commit or 'unknown'} -> {new.commit or 'unknown'}")
    return ", ".join(changed)


class _Allowed:
    """Tolerance of a cell's metric, as a share.

    From seeds: two standard deviations over the reference's seeds, pooled over the encoders of the column
    (root mean square), since three seeds alone estimate a deviation badly; at least 0.1 points.
    """

    def __init__(self, reference: dict[Cell, Record], tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        rows: dict[tuple[str, float, str, str, str], list[float]] = defaultdict(list)
        for cell, record in reference.items():
            for metric, value in record.metrics.items():
                if value is not None:
                    rows[cell.task, cell.fraction, cell.protocol, metric, cell.encoder].append(value)
        spreads: dict[tuple[str, float, str, str], list[float]] = defaultdict(list)
        for (task, fraction, protocol, metric, _), values in rows.items():
            if len(values) > 1:
                spreads[task, fraction, protocol, metric].append(stdev(values) ** 2)
        self._pooled = {column: math.sqrt(fmean(squares)) for column, squares in spreads.items()}

    def __call__(self, cell: Cell, metric: str, before: float | None) -> float:
        rule, amount = self._tolerance.rule, self._tolerance.amount
        if rule == "absolute":
            return amount / 100
        if rule == "relative":
            return abs(before or 0.0) * amount / 100
        return max(FLOOR, WIDTH * self._pooled.get((cell.task, cell.fraction, cell.protocol, metric), 0.0))


def render(lines: Sequence[Line], style: str = "text") -> str:
    """Write the lines that are not the same, and a count.

    Args:
        lines: of :func:`compare`.
        style: ``text``, ``github`` (workflow annotations) or ``junit`` (XML, all lines).
    """
    bad = [line for line in lines if line.state != "same"]
    if style == "junit":
        return _junit(lines)
    if style == "github":
        return "\n".join([*(f"::error title=number moved::{line}" for line in bad), _summary(lines, bad)])
    return "\n".join([*(str(line) for line in bad), _summary(lines, bad)])


def _summary(lines: Sequence[Line], bad: Sequence[Line]) -> str:
    if not bad:
        return f"{len(lines)} numbers, none moved"
    counts = {state: sum(line.state == state for line in bad) for state in ("moved", "missing", "signature")}
    words = {"moved": "moved", "missing": "missing", "signature": "with another signature"}
    return f"{len(lines)} numbers: " + ", ".join(f"{n} {words[state]}" for state, n in counts.items() if n)


def _junit(lines: Sequence[Line]) -> str:
    from xml.etree import ElementTree

    suite = ElementTree.Element(
        "testsuite",
        name="g2d-bench compare",
        tests=str(len(lines)),
        failures=str(sum(line.state != "same" for line in lines)),
    )
    for line in lines:
        case = ElementTree.SubElement(suite, "testcase", classname=str(line.cell), name=line.metric)
        if line.state != "same":
            ElementTree.SubElement(case, "failure", message=str(line))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
