"""What a format of a table is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from g2d_bench.plain import visible_parts
from g2d_bench.report.formats.turn import turn
from g2d_bench.report.model import Table


@dataclass(frozen=True)
class Format:
    """A format of a table.

    Attributes:
        write: all tables to one text.
        escapes: whether it has escapes of its own, by which a program reads the very name. Names in the
            other formats are made harmless before.
        for_programs: whether it always holds everything, whatever readers would be shown.
    """

    write: Callable[[Sequence[Table]], str]
    escapes: bool = False
    for_programs: bool = False

    @classmethod
    def of_one(cls, write: Callable[[Table], str]) -> Format:
        """Return a format for readers: table after table, those that are too wide turned on their side."""

        def all_of(tables: Sequence[Table]) -> str:
            return "\n\n".join(write(turn(table) if table.turned else table) for table in tables)

        return cls(all_of)

    def __call__(self, tables: Sequence[Table]) -> str:
        """Write tables; no text in them acts on its surroundings, whatever is in a record."""
        return self.write(tables if self.escapes else visible_parts(list(tables)))
