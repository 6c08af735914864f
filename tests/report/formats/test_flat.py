"""What programs are given of a table."""

from __future__ import annotations

from g2d_bench.report.formats.flat import as_dict, data_of, lines_of, scale_of, seen_by
from g2d_bench.report.model import GENERATED, Table


def test_every_number_has_its_line_and_its_place(tables: list[Table]) -> None:
    for table in tables:
        lines, read = list(lines_of(table)), as_dict(table)
        assert len(lines) == len(table.rows) * len(table.columns)
        placed = [(row["name"], value["mean"]) for row in read["rows"] for value in row["values"]]
        assert [(line["encoder"], line["mean"]) for line in lines] == placed


def test_data_and_origin_are_named(nasty_table: Table) -> None:
    measured, quoted, trivial = nasty_table.rows
    assert data_of(nasty_table, measured) == "GENERATED DATA (phantom)"
    assert data_of(nasty_table, quoted) == "quoted from a paper (real data)"
    assert as_dict(nasty_table)["data"] == GENERATED
    assert (scale_of(trivial), seen_by(trivial)) == ("", None)
