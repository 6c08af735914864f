"""The five formats: names as they are, generated data in plain words, LaTeX that a real TeX takes."""

from __future__ import annotations

import csv
import io
import json

import pytest

from g2d_bench.report.formats import FORMATS
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import GENERATED, Table


@pytest.mark.parametrize("style", FORMATS)
def test_generated_data_are_named_in_every_format(tables: list[Table], style: str) -> None:
    text = render(tables, style)
    if style == "csv":
        assert all(r["data"] == "GENERATED DATA (phantom)" for r in csv.DictReader(io.StringIO(text)))
    else:
        assert text.count(GENERATED) >= len(tables)


def test_no_tables_make_empty_files() -> None:
    assert render([], "csv") == "table"
    assert json.loads(render([], "json")) == []
