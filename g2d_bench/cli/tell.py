"""What commands that read records say on stderr of that which they do not show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.records.selection import Filter, Found
    from g2d_bench.report.model import Table


def tell_left_out(everything: Sequence[Found], wanted: Filter, roots: Sequence[Path]) -> None:
    """Name words of a filter that no record has, and cells that failed when they were run.

    Args:
        everything: the records of the folders.
        wanted: which of them are looked at.
        roots: the folders.
    """
    from g2d_bench.records.store import Store

    # One word of an option is enough to go on; the others may be misspelt.
    for line in wanted.lacking(everything):
        click.echo(line, err=True)
    there = {one.cell for one in everything} if len(roots) > 1 else set()
    failures = [one.cell for root in roots for one in Store(root).failures()]
    if failed := [cell for cell in failures if wanted.takes(cell, "") and cell not in there]:
        first = failed[0]
        click.echo(
            f"not here, since they failed when they were run: {len(failed)} cells ({first} ...)", err=True
        )


def asked_metrics(
    found: Sequence[Found], names: Sequence[str]
) -> tuple[list[Found], dict[str, Sequence[str]]]:
    """Choose the records that have some metrics, stated or to be computed, and say whose do not.

    Args:
        found: records, with their files.
        names: of metrics, labels included; none stands for all that each record states.

    Returns:
        The records of tasks that have one, and per task which: a task that has none is named on stderr.

    Raises:
        InputError: a name is unknown, or no record has any.
    """
    from g2d_bench.metrics.registry import metric_spec
    from g2d_bench.records.evidence import Evidence

    if not names:
        return list(found), {}
    for name in names:
        metric_spec(name)
    evidence = Evidence(0, more=names)
    columns: dict[str, Sequence[str]] = {}
    whys: dict[str, str] = {}
    for task in dict.fromkeys(one.cell.task for one in found):
        mine = [one for one in found if one.cell.task == task]
        # Records of one task keep the same arrays, but for those to which it does not apply.
        there = [n for n in names if any(evidence.value(one, n) is not None for one in mine)]
        if there:
            columns[task] = there
        whys |= {f"{task} has no {n}": evidence.error(mine[0], n) for n in names if n not in there}
    lines = [f"{what}{f': {why}' if why else ''}" for what, why in whys.items()]
    if not columns:
        raise InputError(lines[0] if lines else "no record has it", field="--metric")
    for line in lines:
        click.echo(line, err=True)
    return [one for one in found if one.cell.task in columns], columns


def tell_other_protocols(found: Sequence[Found], paper: str, protocols: Sequence[str]) -> None:
    """Name the protocols whose cells of a paper's tasks do not stand in its table."""
    from g2d_bench.report.papers import LAYOUTS

    layout = LAYOUTS[paper]
    tasks = {column.task for column in layout.columns}
    shown = set(protocols or (layout.protocol,))
    if left := sorted({one.cell.protocol for one in found if one.cell.task in tasks} - shown):
        click.echo(f"not in this table: records of protocol {', '.join(left)} (--protocol chooses)", err=True)


def tell_unquoted(made: Sequence[Table]) -> None:
    """Say that no number of a paper fits any of the tables, where quoted ones were asked for."""
    if not any(row.sort == "quoted" for table in made for row in table.rows):
        click.echo(
            "--with-quoted: no quoted number has the task, the fraction and a metric of these tables",
            err=True,
        )
