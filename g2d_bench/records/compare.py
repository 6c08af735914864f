"""Has a number moved? Cells of one results folder against those of another."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.plain import counted, visible
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record, changes
from g2d_bench.records.selection import Found

State = Literal["same", "moved", "missing", "failed", "signature"]
FLOOR = 0.001
"""Smallest tolerance drawn from seeds, as a share: 0.1 points."""
WIDTH = 2.0
"""Standard deviations over seeds that a cell may move unless told otherwise."""
ROUNDING = 1e-12
BAD: tuple[State, ...] = ("moved", "missing", "failed", "signature")


@dataclass(frozen=True)
class Tolerance:
    """How far a metric may move.

    Attributes:
        rule: ``seeds``, ``absolute`` (points of 100; for a metric that is no share, its own unit) or
            ``relative`` (percent of the reference).
        amount: standard deviations, points, percent.
    """

    rule: Literal["seeds", "absolute", "relative"]
    amount: float = WIDTH

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read ``seeds``, ``4sd`` (deviations over seeds), ``0.5`` (points) or ``2%`` (of the reference).

        Raises:
            InputError: anything else.
        """
        if text == "seeds":
            return cls("seeds")
        match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%|sd|)", text.strip(), re.ASCII)
        if not match:
            raise InputError(
                f"{text!r} is no tolerance; write seeds, 4sd, 0.5 (points) or 2%", field="--tolerance"
            )
        rules: dict[str, Literal["seeds", "absolute", "relative"]]
        rules = {"": "absolute", "%": "relative", "sd": "seeds"}
        return cls(rules[match[2]], float(match[1]))


@dataclass(frozen=True)
class Line:
    """One metric on both sides.

    Attributes:
        where: the cell in words.
        metric: its name.
        state: ``same``, ``moved``, ``missing`` (on the measured side), ``failed`` (there, when it was run) or
            ``signature`` (not comparable).
        before: in the metric's unit (shares as 0 to 1), None where undefined or missing.
        after: likewise.
        tolerance: in the same unit.
        since: what changed between the two records, how their signatures differ, or why the cell failed.
    """

    where: str
    metric: str
    state: State
    before: float | None
    after: float | None
    tolerance: float
    since: str = ""

    @property
    def scale(self) -> float:
        """100 where the metric is a share and shown in percent."""
        try:
            return 100.0 if metric_spec(self.metric).share else 1.0
        except InputError:
            return 100.0

    @property
    def moved_by(self) -> float:
        """Points of 100, or the metric's own unit; NaN where one side has no number."""
        if self.before is None or self.after is None:
            return math.nan
        return self.scale * (self.after - self.before)

    def __str__(self) -> str:
        if self.state == "missing":
            return f"{self.where}: not measured"
        if self.state == "failed":
            return f"{self.where}: failed: {self.since}"
        if self.state == "signature":
            return f"{self.where}: not comparable, signatures differ: {self.since}"
        where = f"{self.where}: {self.metric}"
        before, after = (
            "n/a" if number is None else f"{self.scale * number:.2f}" for number in (self.before, self.after)
        )
        by = "" if math.isnan(self.moved_by) else f"{self.moved_by:+.2f}, "
        text = f"{where}: {before} -> {after} ({by}tolerance {self.scale * self.tolerance:.2f})"
        return text + (f" {self.since}" if self.state == "moved" and self.since else "")


def compare(
    reference: Mapping[Cell, Found],
    measured: Mapping[Cell, Found],
    tolerance: Tolerance,
    cells: Collection[Cell] | None = None,
    failed: Mapping[Cell, str] | None = None,
) -> list[Line]:
    """Compare cells of the reference with their repeats.

    Args:
        reference: the numbers to keep; tolerances are drawn from all of them.
        measured: the numbers of now; cells that the reference lacks are not compared.
        tolerance: how far a metric may move.
        cells: which cells to compare; all of the reference if None.
        failed: cells that were run and failed, and why.

    Returns:
        One line per metric and cell, and one per cell that was not measured, failed or cannot be compared.
    """
    reasons = failed or {}
    allowed = _Allowed(reference, tolerance)
    lines: list[Line] = []
    for cell in sorted(reference if cells is None else cells):
        old, found = reference[cell].record, measured.get(cell)
        if found is None:
            reason = reasons.get(cell)
            state: State = "missing" if reason is None else "failed"
            lines.append(Line(str(cell), "all metrics", state, None, None, 0.0, reason or ""))
            continue
        new = found.record
        if new.signature != old.signature:
            since = _differences(old, new)
            lines.append(Line(str(cell), "all metrics", "signature", None, None, 0.0, since))
            continue
        for metric, before in old.metrics.items():
            limit = allowed(cell, metric, before)
            after = new.metrics.get(metric)
            changed = changes(old, new)
            since = f"since {changed}" if changed else "with nothing changed that a record knows of"
            state = "same" if agree(before, after, limit) else "moved"
            if state == "same" and (trivial := fallen_to(old, metric, before, after)):
                state, since = "moved", f"no better than {trivial}, {since}"
            lines.append(Line(str(cell), metric, state, before, after, limit, since))
    return lines


def fallen_to(old: Record, metric: str, before: float | None, after: float | None) -> str:
    """Name a trivial predictor that the old number was better than and the new one is not; "" without one.

    Where seeds differ by as much as a number is large, a tolerance drawn from them lets anything pass, a
    model that predicts nothing included.
    """
    try:
        sign = 1.0 if metric_spec(metric).higher_is_better else -1.0
    except InputError:
        return ""
    for name, values in old.references.items():
        trivial = values.get(metric)
        if None not in (trivial, before, after):
            gone = [sign * (number - trivial) for number in (before, after)]  # type: ignore[operator]
            if gone[0] > ROUNDING >= gone[1]:
                return name
    return ""


def agree(before: float | None, after: float | None, limit: float) -> bool:
    """Say whether two numbers lie within a tolerance; undefined agrees with undefined only."""
    if before is None or after is None:
        return before is after
    return abs(after - before) <= limit + ROUNDING


_PARTS = {
    "the task": "its card has changed",
    "the data": "other files, labels or reports: another release, a part of it, or changed ones",
    "the split": "the images are divided in another way",
    "the protocol": "its version or a setting has changed",
    "the numbers": "code that moves numbers has changed, see the changelog",
}
"""The parts of a signature in their order, and why one may differ."""
_GENERATED = (
    "generated by another version of the generator, or in another number or size; neither is wrong, but they "
    "are numbers of other images"
)


def _differences(old: Record, new: Record) -> str:
    """Say which parts of two signatures differ, and why that can be."""
    pairs = zip(_PARTS.items(), old.signature.split("|"), new.signature.split("|"), strict=False)
    return ", ".join(f"{a} -> {b} ({part}: {_why(why, a, b)})" for (part, why), a, b in pairs if a != b)


def _why(usual: str, old: str, new: str) -> str:
    generated = [text.startswith("phantom:") for text in (old, new)]
    if all(generated):
        return _GENERATED
    return "generated images on one side, real ones on the other" if any(generated) else usual


class _Allowed:
    """Tolerance of a cell's metric, in the metric's unit.

    From seeds: two standard deviations (or as many as wanted) over the reference's seeds, pooled over the
    encoders of the column (root mean square), since three seeds alone estimate a deviation badly; at least
    0.1 points.
    """

    def __init__(self, reference: Mapping[Cell, Found], tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        rows: dict[tuple[str, tuple[float, int], str, str, str], list[float]] = defaultdict(list)
        for cell, found in reference.items():
            for metric, value in found.record.metrics.items():
                if value is not None:
                    rows[cell.task, cell.drawn, cell.protocol, metric, cell.encoder].append(value)
        spreads: dict[tuple[str, tuple[float, int], str, str], list[float]] = defaultdict(list)
        for (task, drawn, protocol, metric, _), values in rows.items():
            if len(values) > 1:
                spreads[task, drawn, protocol, metric].append(stdev(values) ** 2)
        self._pooled = {column: math.sqrt(fmean(squares)) for column, squares in spreads.items()}

    def __call__(self, cell: Cell, metric: str, before: float | None) -> float:
        pooled = self._pooled.get((cell.task, cell.drawn, cell.protocol, metric), 0.0)
        return limit_of(self._tolerance, metric, before, pooled)


def limit_of(
    tolerance: Tolerance, metric: str, before: float | None, deviation: float, rounding: float = 0.0
) -> float:
    """Return the tolerance of one number in the metric's unit, from the deviation over seeds if so wanted."""
    if tolerance.rule == "absolute":
        return tolerance.amount / Line("", metric, "same", None, None, 0.0).scale
    if tolerance.rule == "relative":
        return abs(before or 0.0) * tolerance.amount / 100
    return max(FLOOR, tolerance.amount * deviation + rounding)


STYLES = ("text", "github", "junit")


def render(lines: Sequence[Line], style: str = "text") -> str:
    """Write the lines that are not the same, and a count.

    Args:
        lines: of :func:`compare`.
        style: ``text``, ``github`` (workflow annotations) or ``junit`` (XML, all lines).
    """
    bad = [line for line in lines if line.state in BAD]
    if style == "junit":
        return _junit(lines)
    if style == "github":
        shown = [f"::error title={_TITLES[line.state]}::{_github(str(line))}" for line in bad]
    else:
        shown = [visible(line) for line in _grouped(bad)]
    return "\n".join([*shown, summary(lines)])


def _grouped(bad: Sequence[Line]) -> list[str]:
    """One line each, but one for all cells whose signatures differ alike."""
    alike: dict[str, list[Line]] = defaultdict(list)
    for line in bad:
        alike[line.since if line.state == "signature" else str(line)].append(line)
    return [
        str(first)
        if not others
        else f"{first.where} and {len(others)} more: not comparable, signatures differ: {first.since}"
        for first, *others in alike.values()
    ]


_TITLES = {
    "moved": "number moved",
    "missing": "number missing",
    "failed": "cell failed",
    "signature": "not comparable",
}


def _github(text: str) -> str:
    """Escape the data of a workflow command as the runner expects it."""
    return visible(text).replace("%", "%25")


def summary(lines: Sequence[Line]) -> str:
    """Count the lines in one sentence."""
    words = {
        "moved": "moved",
        "missing": "not measured",
        "failed": "failed",
        "signature": "with another signature",
    }
    counts = {state: sum(line.state == state for line in lines) for state in words}
    compared = len(lines) - sum(count for state, count in counts.items() if state != "moved")
    if not any(counts.values()):
        return f"{compared} numbers compared, none moved"
    said = [
        f"{n if state == 'moved' else counted(n, 'cell')} {words[state]}" for state, n in counts.items() if n
    ]
    return f"{compared} numbers compared: {', '.join(said)}"


def _junit(lines: Sequence[Line]) -> str:
    from xml.etree import ElementTree

    suite = ElementTree.Element(
        "testsuite",
        name="g2d-bench compare",
        tests=str(len(lines)),
        failures=str(sum(line.state in BAD for line in lines)),
    )
    for line in lines:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(line.where), name=_xml(line.metric))
        if line.state in BAD:
            failure = ElementTree.SubElement(case, "failure", type=line.state, message=_xml(str(line)))
            failure.text = _xml(str(line))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    """Spell control characters, which XML cannot hold even escaped."""
    return visible(text)
