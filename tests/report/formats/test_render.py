"""The five formats: names as they are, generated data in plain words, LaTeX that a real TeX takes."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from g2d_bench.records.selection import select
from g2d_bench.report.formats.render import FORMATS, render
from g2d_bench.report.model import GENERATED, Table
from g2d_bench.report.table import blocks


@pytest.fixture
def tables(folder: Any) -> list[Table]:
    folder.grid({"random": 0.4, "g2d": 0.6, "mgca": 0.597}, (0.01, 0.1))
    return blocks(select(folder.root), ["random"], metrics={})


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
