"""Names of rows."""

from __future__ import annotations

from dataclasses import replace

from g2d_bench.report.formats.names import name_of
from g2d_bench.report.model import Table


def test_what_is_not_the_measured_model_is_marked(nasty_table: Table) -> None:
    measured, quoted, trivial = nasty_table.rows
    assert name_of(replace(measured, name="mgca")) == "mgca"
    assert name_of(replace(quoted, name="mgca")) == "mgca [quoted]"
    assert name_of(trivial) == "all-empty"
    assert name_of(replace(measured, name="mgca", tag="phantom scale")) == "mgca [phantom scale]"
