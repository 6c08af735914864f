"""Tables as text, in a format that is named."""

from __future__ import annotations

from collections.abc import Sequence

from g2d_bench.report.formats import FORMATS
from g2d_bench.report.model import Table


def render(tables: Sequence[Table], style: str = "text") -> str:
    """Write tables.

    Args:
        tables: what to write.
        style: one of :data:`~g2d_bench.report.formats.FORMATS`.

    Raises:
        InputError: there is no such format.
    """
    return FORMATS[style](tables)
