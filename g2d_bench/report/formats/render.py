"""All formats of a table by name."""

from __future__ import annotations

from collections.abc import Sequence

from g2d_bench.errors import InputError
from g2d_bench.plain import visible_parts
from g2d_bench.report.formats import flat, latex, markdown, text
from g2d_bench.report.formats.turn import turn
from g2d_bench.report.look import Look, dress
from g2d_bench.report.model import Table

FORMATS = ("text", "md", "latex", "csv", "json")
DATA = ("csv", "json")
"""Those that programs read."""


def render(tables: Sequence[Table], style: str = "text", look: Look | None = None) -> str:
    """Write tables; no text in them acts on its surroundings, whatever is in a record.

    Args:
        tables: what to write.
        style: one of :data:`FORMATS`.
        look: what readers are shown; programs are given everything.

    Raises:
        InputError: a look of a style for programs.
    """
    look = look or Look()
    if style in DATA and not look.plain:
        raise InputError(f"{style} holds intervals and p values, and names as they are", field="--format")
    if style == "json":
        # JSON has escapes of its own, by which a program reads the very name.
        return flat.to_json(tables)
    tables = visible_parts(list(tables) if look.plain else [dress(table, look) for table in tables])
    if style == "csv":
        return flat.to_csv(tables)
    one = {"text": text.render, "md": markdown.render, "latex": latex.render}[style]
    return "\n\n".join(one(turn(table) if table.turned else table) for table in tables)
