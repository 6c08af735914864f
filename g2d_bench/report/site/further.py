"""What a page shows beyond its tables of scores: inside against outside, and scores by group of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape

from g2d_bench.errors import InputError
from g2d_bench.plain import visible
from g2d_bench.records.groups import ATTRIBUTES
from g2d_bench.records.parts import kept_groups
from g2d_bench.records.selection import Found
from g2d_bench.report.drops import drop_tables
from g2d_bench.report.formats.names import name_of
from g2d_bench.report.groups import group_tables
from g2d_bench.report.model import GENERATED, Table


def further_tables(
    found: Sequence[Found],
    both: Sequence[Found],
    order: Sequence[str] = (),
    *,
    main: Mapping[tuple[str, str], str] | None = None,
) -> list[Table]:
    """Make the tables of tasks that are tested elsewhere, and those by group that records themselves tell.

    Args:
        found: records, with their files.
        both: those of them that were tested elsewhere, and records with their inside scores.
        order: encoder names in the order of rows.
        main: the metric per task and protocol.

    Returns:
        None of them where no record was tested elsewhere or keeps groups.
    """
    made = drop_tables(both, order, main=main)
    grouped = [one for one in found if kept_groups(one)]
    for attribute in ATTRIBUTES:
        # A page is made of what records hold; that others lack groups is no fault of theirs.
        with suppress(InputError):
            made += group_tables(grouped, attribute, order, main=main)[0]
    return made


def section(tables: Sequence[Table]) -> str:
    """Write tables as one section of a page, "" where there are none; every text in it is escaped."""
    if not tables:
        return ""
    parts = ['<section class="overview further"><h2>Groups of patients, other data sets</h2>']
    parts += [_table(table) for table in tables]
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    heads = "".join(
        f'<th scope="col">{_text(column.heads[0])}<br><small>{_text(column.heads[-1])}</small></th>'
        for column in table.columns
    )
    rows = []
    for row in table.rows:
        cells = "".join(f"<td{_title(value.reason)}>{_text(str(value))}</td>" for value in row.values)
        rows.append(f'<tr><th scope="row">{_text(name_of(row))}</th>{cells}</tr>')
    said = [*([GENERATED] if table.generated else []), *table.warnings]
    return "\n".join(
        [
            f"<h3>{_text(table.title)}</h3>",
            *(f'<p class="generated">{_text(line)}</p>' for line in said),
            '<div class="wide"><table>',
            f'<thead><tr><th scope="col">{_text(table.stub)}</th>{heads}</tr></thead>',
            f"<tbody>{''.join(rows)}</tbody></table></div>",
            f'<p class="facts">{_text(" · ".join([*table.facts, *table.notes]))}</p>',
        ]
    )


def _title(reason: str) -> str:
    return f' title="{_text(reason)}"' if reason else ""


def _text(text: str) -> str:
    return escape(visible(text), quote=True)
