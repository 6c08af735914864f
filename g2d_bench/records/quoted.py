"""Numbers quoted from papers: where they stand, what they measure, whether they may be compared.

The files `results/reported/*.csv` are kept by hand, one per paper, one row per printed cell. A quoted number
is never mixed with a measured one; a flagged one is kept for the record and never used.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.paths import shipped

FLAGS = {
    "": "usable",
    "implausible": "a misprint or a number that cannot be right",
    "from-memory": "written down from memory, the paper was not seen",
    "repeated": "the same measurement stands in another row",
    "below-1": "printed as a dash that stands for less than 1 %",
    "not-reported": "printed without a number",
    "not-deployable": "the method cannot do this task, says the paper",
}
"""Flag to what it says; a row with any flag is never used."""

VALUELESS = ("below-1", "not-reported", "not-deployable")
FRACTIONS = ("0.01", "0.1", "1.0", "zero")
UNITS = {"percent": 100.0, "one": 1.0}
UNKNOWN = "unknown"
NO_TASK = "-"
NOT_COMPARABLE = "not comparable because "


@dataclass(frozen=True, slots=True)
class Quoted:
    """One printed cell of a table; the fields are the columns of the files, in their order.

    Attributes:
        paper: short name and venue.
        table: as the paper numbers it.
        task: the task card that measures the same, or ``-``.
        published: task and data set in the paper's words.
        label: the finding, for per-label columns, else "".
        metric: as the paper calls it.
        convention: our metric that the paper states or cites, or ``unknown``.
        fraction: share of the training labels (``0.01``, ``0.1``, ``1.0``) or ``zero``.
        encoder: the encoder card with the very weights, or "".
        method: the row's name in the paper.
        value: as printed, "" where the cell has none.
        spread: what follows ±, "" where nothing does.
        unit: ``percent``, or ``one`` for plain numbers.
        protocol: set-up in a few words.
        comparable: ``yes`` where metric, test images and tuning agree with one of our protocols.
        remark: why not comparable, and what else is to be said.
        flag: one of :data:`FLAGS`.
        source: what was read.
        place: file and row, for complaints.
    """

    paper: str
    table: str
    task: str
    published: str
    label: str
    metric: str
    convention: str
    fraction: str
    encoder: str
    method: str
    value: str
    spread: str
    unit: str
    protocol: str
    comparable: str
    remark: str
    flag: str
    source: str
    place: str = ""

    @property
    def usable(self) -> bool:
        """Whether the cell holds a number that may be shown."""
        return self.flag == ""

    @property
    def number(self) -> float:
        """The value as a share (percent divided by 100), NaN where the cell has none."""
        return float(self.value) / UNITS[self.unit] if self.value else math.nan

    @property
    def deviation(self) -> float:
        """The printed spread on the scale of :attr:`number`, NaN where there is none."""
        return float(self.spread) / UNITS[self.unit] if self.spread else math.nan

    @property
    def key(self) -> tuple[str, ...]:
        """What no two rows share."""
        return (
            self.paper,
            self.table,
            self.published,
            self.label,
            self.metric,
            self.fraction,
            self.method,
        )


COLUMNS = tuple(field.name for field in fields(Quoted) if field.name != "place")


def load_reported(folder: Path | None = None) -> list[Quoted]:
    """Load all quoted cells.

    Args:
        folder: with one CSV per paper; None for the shipped ``results/reported``.

    Returns:
        The cells in the order of the files, flagged ones included.

    Raises:
        InputError: no files, another header, or a row that cannot be right; the text names file, row, column.
    """
    folder = shipped("results") / "reported" if folder is None else folder
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise InputError("no quoted numbers here (*.csv)", file=folder)
    return [cell for file in files for cell in _load(file)]


def _load(file: Path) -> list[Quoted]:
    try:
        with file.open(encoding="utf-8", newline="") as handle:
            lines = [(reader.line_num, cells) for reader in [csv.reader(handle)] for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", file=file) from error
    if not lines or tuple(lines[0][1]) != COLUMNS:
        raise InputError(f"header must be {','.join(COLUMNS)}", file=f"{file}:1")
    quoted = []
    for line, cells in lines[1:]:
        place = f"{file}:{line}"
        if len(cells) != len(COLUMNS):
            raise InputError(f"has {len(cells)} cells, {len(COLUMNS)} are needed", file=place)
        cell = Quoted(**dict(zip(COLUMNS, cells, strict=True)), place=place)
        _check(cell)
        quoted.append(cell)
    return quoted


def _check(cell: Quoted) -> None:
    """Check what does not depend on cards."""
    for column, allowed in (
        ("flag", tuple(FLAGS)),
        ("fraction", FRACTIONS),
        ("unit", tuple(UNITS)),
        ("comparable", ("yes", "no")),
    ):
        word = getattr(cell, column)
        if word not in allowed:
            raise InputError(f"{word!r}, {did_you_mean(word, allowed)}", file=cell.place, field=column)
    for column in (
        "paper",
        "table",
        "task",
        "published",
        "metric",
        "convention",
        "method",
        "protocol",
        "source",
    ):
        if not getattr(cell, column):
            raise InputError("is empty", file=cell.place, field=column)
    for column in ("value", "spread"):
        text = getattr(cell, column)
        if text and not text.replace(".", "", 1).isdigit():
            raise InputError(f"{text!r} is not a number as printed", file=cell.place, field=column)
    if (cell.value == "") != (cell.flag in VALUELESS):
        raise InputError(f"value {cell.value!r} with flag {cell.flag!r}", file=cell.place, field="value")
    if cell.unit == "percent" and cell.value and float(cell.value) > 100:
        raise InputError(f"{cell.value} percent", file=cell.place, field="value")
    if cell.comparable == "yes" and (cell.flag or cell.convention == UNKNOWN or cell.task == NO_TASK):
        raise InputError(
            "a comparable cell has a task, a known convention and no flag",
            file=cell.place,
            field="comparable",
        )
    if cell.comparable == "no" and not cell.remark.startswith(NOT_COMPARABLE):
        raise InputError(f"must begin with {NOT_COMPARABLE.strip()!r}", file=cell.place, field="remark")


def lint(
    quoted: Iterable[Quoted],
    *,
    tasks: Collection[str],
    encoders: Collection[str],
    metrics: Collection[str],
) -> list[str]:
    """Find names that resolve to no card and cells that are quoted twice.

    Args:
        quoted: from :func:`load_reported`.
        tasks: names of task cards.
        encoders: names of encoder cards.
        metrics: names of metric conventions.

    Returns:
        One line per fault, empty when all is well.
    """
    faults: list[str] = []
    seen: dict[tuple[str, ...], str] = {}
    used: dict[tuple[object, ...], str] = {}
    for cell in quoted:
        for column, allowed, free in (
            ("task", tasks, NO_TASK),
            ("encoder", encoders, ""),
            ("convention", metrics, UNKNOWN),
        ):
            word = getattr(cell, column)
            if word != free and word not in allowed:
                hint = did_you_mean(word, sorted(allowed))
                faults.append(f"{cell.place}: {column}: no card or metric {word!r}, {hint}")
        if cell.key in seen:
            faults.append(f"{cell.place}: the same cell stands in {seen[cell.key]}")
        seen.setdefault(cell.key, cell.place)
        if not cell.usable or cell.task == NO_TASK or cell.convention == UNKNOWN:
            continue
        # Relays print each other's numbers: one measurement must not count twice.
        measured = (
            *(cell.task, cell.published, cell.label, cell.convention, cell.fraction),
            *(cell.method.rstrip("*"), round(cell.number, 4)),
        )
        if used.setdefault(measured, cell.place) != cell.place:
            faults.append(f"{cell.place}: repeats {used[measured]}, flag it")
    return faults


def counts(quoted: Iterable[Quoted]) -> Counter[tuple[str, str]]:
    """Count the printed cells per (paper, table)."""
    return Counter((cell.paper, cell.table) for cell in quoted)
