"""Tables as JSON."""

from __future__ import annotations

import json

from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Table


def test_json_is_json_and_complete(tables: list[Table], nasty_table: Table) -> None:
    read = json.loads(render(tables, "json"))
    assert [table["title"] for table in read] == [table.title for table in tables]
    assert read[0]["generated"] is True
    first = read[0]["rows"][0]["values"][0]
    assert first["mean"] == tables[0].rows[0].values[0].mean
    assert first["seeds"] == [0, 1, 2]
    assert json.loads(render([nasty_table], "json"))[0]["rows"][2]["values"][0]["mean"] is None
