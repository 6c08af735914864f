"""What stands on the leaderboard page."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from g2d_bench.records.record import Record
from g2d_bench.records.selection import Found
from g2d_bench.report.model import Row, Table
from g2d_bench.report.reasons import share_of
from g2d_bench.report.site.folder import RECORDS


@dataclass(frozen=True)
class Link:
    """From a row to a record.

    Attributes:
        seed: of the record.
        href: where its copy lies, relative to the page.
        page: where the page about it lies.
        told: how it was made.
    """

    seed: int
    href: str
    page: str
    told: str


@dataclass(frozen=True)
class Section:
    """A task at one fraction under one protocol, on one kind of data.

    Attributes:
        anchor: its name in addresses.
        task: task name.
        kind: of the task.
        protocol: protocol name.
        fraction: amount of training labels, as ``1 %``, ``16 shots`` or ``no labels``.
        data: ``generated`` or ``real``.
        main: the metric by which rows are ordered.
        table: rows in that order, best first.
        links: encoder to its records.
    """

    anchor: str
    task: str
    kind: str
    protocol: str
    fraction: str
    data: str
    main: str
    table: Table
    links: Mapping[str, Sequence[Link]]


def sections(
    tables: Sequence[Table],
    found: Sequence[Found],
    roots: Sequence[Path],
    main: Mapping[tuple[str, str], str],
) -> list[Section]:
    """Join the tables of :func:`g2d_bench.report.table.blocks` with the records behind them.

    Args:
        tables: one per task, fraction, protocol and kind of data; columns are metrics.
        found: the records from which they were made.
        roots: folders below which these lie.
        main: the main metric per task and protocol; the first column for one that is not there.
    """
    behind: dict[tuple[str, str, str, bool], list[Found]] = defaultdict(list)
    for one in found:
        cell = one.record.cell
        generated = one.record.data.kind == "phantom"
        behind[cell.task, cell.amount, cell.protocol, generated].append(one)
    made = []
    for table in tables:
        column = table.columns[0]
        records = behind[column.task, column.amount, column.protocol, table.generated]
        metric = main.get((column.task, column.protocol), column.metric)
        data = "generated" if table.generated else "real"
        links: dict[str, list[Link]] = defaultdict(list)
        for one in sorted(records, key=lambda one: (one.record.cell.seed, str(one.path))):
            links[one.record.cell.encoder].append(_link(one, roots))
        made.append(
            Section(
                anchor=anchor_of(column.task, column.fraction, column.protocol, data, column.shots),
                task=column.task,
                kind=records[0].record.kind,
                protocol=column.protocol,
                fraction=share_of(records[0].record.kind, column),
                data=data,
                main=metric,
                table=replace(table, rows=tuple(sorted(table.rows, key=lambda row: _rank(row, metric)))),
                links=dict(links),
            )
        )
    return made


def anchor_of(task: str, fraction: float, protocol: str, data: str, shots: int = 0) -> str:
    """Name a section in addresses."""
    drawn = f"{shots}shots" if shots else f"{fraction:g}"
    return re.sub(r"[^\w.-]+", "-", f"{task}-{drawn}-{protocol}-{data}")


def copy_of(found: Found, roots: Sequence[Path]) -> str:
    """Return where a record's copy lies, relative to the page."""
    assert found.path is not None
    root = next(root for root in roots if found.path.is_relative_to(root))
    return f"{RECORDS}/{found.path.relative_to(root).as_posix()}"


def _rank(row: Row, metric: str) -> tuple[int, float]:
    """Sort key: measured rows, best first, without a number last; then quoted ones, trivial predictors."""
    value = next((value for value in row.values if value.column.metric == metric), row.values[0])
    sign = -1 if value.column.spec.higher_is_better else 1
    order = ("measured", "quoted", "reference").index(row.sort)
    return order, math.inf if math.isnan(value.mean) else sign * value.mean


def _link(found: Found, roots: Sequence[Path]) -> Link:
    record: Record = found.record
    torch = record.versions.get("torch", "?")
    told = f"{record.command} · commit {record.commit or '?'} · torch {torch} · {record.created}"
    copy = copy_of(found, roots)
    return Link(record.cell.seed, address(copy), address(page_of(copy)), told)


def page_of(copy: str) -> str:
    """Return where the page about a record lies: beside its copy."""
    return copy.removesuffix(".json") + ".html"


def address(path: str) -> str:
    """Write a path of the site as a link's address."""
    return quote(path, safe="/@+")
