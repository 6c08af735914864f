"""What all formats have in common, also those of other packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from g2d_bench.report.formats.base import Format
from g2d_bench.report.model import Table

ESCAPE = "\x1b[31m"


def _titles(tables: Sequence[Table]) -> str:
    return " ".join(table.title for table in tables)


def test_names_are_harmless_unless_the_format_escapes_them(nasty_table: Table) -> None:
    table = replace(nasty_table, title=ESCAPE)
    assert ESCAPE not in Format(_titles)([table])
    assert Format(_titles, escapes=True)([table]) == ESCAPE


def test_wide_tables_are_turned_for_readers_alone(nasty_table: Table) -> None:
    table = replace(nasty_table, turned=True)
    stub = Format.of_one(lambda one: one.stub)
    assert stub([table, replace(table, turned=False)]) == "task\n\nencoder"
    assert Format(lambda tables: tables[0].stub)([table]) == "encoder"
