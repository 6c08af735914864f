"""A turned table says the same as the one it was made of."""

from __future__ import annotations

import math
from typing import Any

from g2d_bench.records.quoted import load_reported
from g2d_bench.records.selection import select
from g2d_bench.report.formats.render import render
from g2d_bench.report.formats.turn import TRIVIAL, turn
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.report.table import blocks, summary


def test_numbers_keep_their_place(folder: Any) -> None:
    for task in ("siim-seg", "rsna-seg"):
        folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 1.0), task=task)
    (table,) = summary(select(folder.root), ["random", "g2d"])
    assert table.turned
    turned = turn(table)
    assert [column.heads for column in turned.columns] == [("random",), ("g2d",), (TRIVIAL,)]
    assert [row.name for row in turned.rows] == [
        "rsna-seg, dice_positive · 1 %",
        "rsna-seg, dice_positive · 100 %",
        "siim-seg, dice_positive · 1 %",
        "siim-seg, dice_positive · 100 %",
    ]
    assert {row.panel for row in turned.rows} == {"segmentation"}
    for n, row in enumerate(turned.rows):
        for m, name in enumerate(("random", "g2d")):
            original = next(r for r in table.rows if r.name == name).values[n]
            value = row.values[m]
            assert (value.mean, value.spread, value.best) == (original.mean, original.spread, original.best)
            assert math.isnan(value.low)
            assert not math.isnan(original.low)
        assert row.values[2].marks == "all-empty"
    text = render([table])
    assert "best of its line" in text
    assert "[" not in text.split("encoder")[0].split("signature")[0].replace("[ ]", "")
    assert "best of its column" in render(blocks(select(folder.root), metrics={}))


def test_programs_get_the_table_as_it_is(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 1.0))
    lines = render(summary(select(folder.root)), "csv").splitlines()
    assert sum(",g2d," in line for line in lines) == 2
    assert all(",siim-seg,clean," in line for line in lines[1:])


def test_the_best_trivial_predictor_stands_for_all() -> None:
    def column(metric: str) -> Column:
        return Column("t", 1.0, metric, "clean", ("kind", metric))

    columns = (column("dice_positive"), column("brier"), column("iou_positive"))
    rows = (
        Row(
            "centre",
            (Value(columns[0], 30.0), Value(columns[1], 0.2), Value(columns[2], missing="undefined")),
        ),
        Row(
            "corner",
            (Value(columns[0], 40.0), Value(columns[1], 0.3), Value(columns[2], missing="undefined")),
        ),
    )
    trivial = tuple(Row(row.name, row.values, "reference") for row in rows)
    turned = turn(Table("t", columns, trivial, True))
    assert [row.values[0].marks for row in turned.rows] == ["corner", "centre", ""]
    assert turned.rows[2].values[0].missing == "undefined"


def test_quoted_rows_keep_encoders_below_each_other(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 1.0))
    (table,) = summary(
        select(folder.root), main={("siim-seg", "clean"): "dice_legacy"}, quoted=load_reported()
    )
    assert any(row.sort == "quoted" for row in table.rows)
    assert not table.turned
    assert render([table], "md").count("| encoder |") == 1
