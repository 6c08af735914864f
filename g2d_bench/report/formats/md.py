"""A table as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from g2d_bench.report.formats.base import Format
from g2d_bench.report.formats.names import name_of
from g2d_bench.report.look import parts
from g2d_bench.report.model import GENERATED, Table, Value

FOLD = 8
"""Notes and signatures that are shown; where there are more, the reader opens them."""
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


def escape(text: str) -> str:
    """Make any text show as itself in a Markdown table cell: no markup, no HTML, no cell border."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", plain)


def render(table: Table) -> str:
    """Write one table; a cell is ``mean ± spread`` and, below it, the interval."""
    lines = [f"**{escape(table.title)}**", ""]
    if table.generated:
        lines += [f"> **{escape(GENERATED)}**", ""]
    for warning in table.warnings:
        lines += [f"> **{escape(warning)}**", ""]
    for part in parts(table):
        lines += [*(_captioned(part) if table.narrow else _grid(part)), ""]
    below = [*table.facts, *([f"Bold: {table.best}."] if table.tested else [])]
    small = [*table.notes, *(f"signature {signature}" for signature in table.signatures)]
    if len(small) <= FOLD:
        return "\n".join([*lines, *_items([*below, *small])]).rstrip()
    folded = ["", "<details><summary>Notes and signatures</summary>", "", *_items(small), "", "</details>"]
    return "\n".join([*lines, *_items(below), *folded])


def _captioned(table: Table) -> list[str]:
    """Say above a narrow table what all its headings have in common, so that its columns can be narrow."""
    coarse = {column.heads[:-1] for column in table.columns}
    if len(coarse) > 1 or coarse == {()}:
        return _grid(table)
    columns = tuple(replace(column, heads=column.heads[-1:]) for column in table.columns)
    return [f"*{escape(' · '.join(coarse.pop()))}*", "", *_grid(replace(table, columns=columns))]


def _grid(table: Table) -> list[str]:
    heads = [table.stub, *(" · ".join(column.heads) for column in table.columns)]
    lines = [_line([escape(head) for head in heads]), _line(["---", *["---:"] * len(table.columns)])]
    panel = ""
    for row in table.rows:
        if row.panel != panel:
            panel = row.panel
            lines.append(_line([f"*{escape(panel)}*", *[""] * len(table.columns)]))
        name = escape(name_of(row))
        lines.append(_line([f"*{name}*" if row.sort != "measured" else name, *map(_cell, row.values)]))
    return lines


def _items(texts: Sequence[str]) -> list[str]:
    return [f"- {escape(text)}" for text in texts]


def _cell(value: Value) -> str:
    centre = f"**{value.centre}**" if value.best else value.centre
    text = centre + value.seen + (f" ± {value.behind}" if value.behind else "")
    text += f" <sup>{escape(value.marks)}</sup>" if value.marks else ""
    text += f" ({escape(value.of)})" if value.of else ""
    return text + "".join(f"<br><sub>{escape(small)}</sub>" for small in value.below)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


FORMAT = Format.of_one(render)
