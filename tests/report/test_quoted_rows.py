"""Quoted rows."""

from __future__ import annotations

from typing import Any

from g2d_bench.records.quoted import load_reported
from g2d_bench.records.selection import select
from g2d_bench.report.model import Row, Table
from g2d_bench.report.table import blocks, paper_table

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}


def one(tables: list[Table]) -> Table:
    assert len(tables) == 1
    return tables[0]


def row(table: Table, name: str, panel: str = "") -> Row:
    return next(r for r in table.rows if r.name == name and r.panel == panel)


def test_quoted_rows_below_a_plain_table_share_the_convention(folder: Any) -> None:
    folder.add("g2d", data_kind="real")
    table = one(blocks(select(folder.root), metrics=METRICS, quoted=load_reported()))
    quoted = [r for r in table.rows if r.sort == "quoted"]
    assert quoted
    for r in quoted:
        assert [v.missing for v in r.values[:2]] == ["not measured"] * 2
        assert r.values[2].marks == "†"
    assert any("all-empty predictor" in note for note in table.notes)


def test_flagged_quoted_numbers_never_appear() -> None:
    table = paper_table("g2d-table2b", [], quoted=load_reported())
    metric = [c.heads[0] + c.metric for c in table.columns].index("CXR14f1_validation")
    assert row(table, "BioViL").values[metric].missing == "not measured"
