"""Tables as text, in a format that is named."""

from __future__ import annotations

from collections.abc import Sequence

from g2d_bench.errors import InputError
from g2d_bench.report.formats import FORMATS
from g2d_bench.report.look import Look, dress
from g2d_bench.report.model import Table


def render(tables: Sequence[Table], style: str = "text", look: Look | None = None) -> str:
    """Write tables.

    Args:
        tables: what to write.
        style: one of :data:`~g2d_bench.report.formats.FORMATS`.
        look: what readers are shown; programs are given everything.

    Raises:
        InputError: there is no such format, or it is one for programs and looks are asked for.
    """
    form = FORMATS[style]
    if look is None or look.plain:
        return form(tables)
    if form.for_programs:
        raise InputError(f"{style} holds intervals and p values, and names as they are", field="--format")
    return form([dress(table, look) for table in tables])
