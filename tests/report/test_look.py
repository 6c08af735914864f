"""A table's look changes what is shown, and no number."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.selection import select
from g2d_bench.report.formats.render import render
from g2d_bench.report.look import BUDGET, Look, dress, parts
from g2d_bench.report.model import INTERVAL, Table
from g2d_bench.report.table import blocks, summary

QUALITIES = {"random": 0.4, "mgca": 0.597, "g2d": 0.6, "g2d+decoder": 0.5}


@pytest.fixture
def table(folder: Any) -> Table:
    folder.grid(QUALITIES, (0.01, 0.1, 1.0))
    return summary(select(folder.root), list(QUALITIES), main={("siim-seg", "clean"): "dice_positive"})[0]


def means(table: Table) -> list[float]:
    return [value.mean for row in table.rows for value in row.values]


def test_without_intervals_no_fact_speaks_of_them(table: Table) -> None:
    bare = dress(table, Look(intervals=False))
    assert means(bare) == means(table)
    assert all(value.limits == "" for row in bare.rows for value in row.values)
    assert INTERVAL in table.facts
    assert INTERVAL not in bare.facts
    assert "[" not in render([replace(table, turned=False)], "md", Look(intervals=False)).split("- ")[0]


def test_p_values_are_those_of_the_test(folder: Any) -> None:
    folder.grid(QUALITIES)
    (made,) = blocks(select(folder.root), list(QUALITIES), metrics={"siim-seg": ("dice_positive",)})
    values = {row.name: row.values[0] for row in made.rows}
    assert math.isnan(values["g2d"].p)
    assert values["g2d"].best
    assert values["random"].p <= 0.05 < values["mgca"].p
    assert (values["random"].best, values["mgca"].best) == (False, True)
    shown = dress(made, Look(p=True))
    said = {row.name: row.values[0].tested for row in shown.rows}
    assert said["g2d"] == said["all-empty"] == ""
    assert said["random"].startswith(("p=0.0", "p<0.001"))
    assert render([made], "json").count('"p_against_best": null') == 2
    for style in ("text", "md", "latex"):
        assert "values: against the best" in render([made], style, Look(p=True))
        assert "values: against" not in render([made], style)


def test_titles_stand_wherever_names_stood(table: Table) -> None:
    look = Look(titles=True, tasks={"siim-seg": "SIIM segmentation"}, encoders={"g2d": "G2D"})
    for narrow in (False, True):
        text = render([table], "text", replace(look, narrow=narrow))
        assert "SIIM segmentation, Dice (%)" in text
        assert "siim-seg, dice_positive" not in text
        assert "Dice (dice_positive): mean Dice over the images that show the finding" in text
    assert "| G2D |" in render([table], "md", replace(look, narrow=True))


def test_a_narrow_table_fits_and_loses_nothing(table: Table) -> None:
    narrow = dress(table, Look(narrow=True, intervals=False))
    pieces = parts(narrow)
    assert [c for piece in pieces for c in piece.columns] == list(narrow.columns)
    text = render([table], "text", Look(narrow=True, intervals=False))
    lines = text.splitlines()
    grids = [line for line in lines if line.startswith((*QUALITIES, "---"))]
    assert max(map(len, grids)) <= BUDGET + 4  # stars take no room where type is bold
    latex = render([table], "latex", Look(narrow=True))
    assert "sideways" not in latex
    assert "resizebox" not in latex
    assert latex.count(r"\begin{tabular}{l") == len(parts(dress(table, Look(narrow=True))))
    assert parts(table) == [table]


def test_predictors_of_other_tasks_are_left_out_of_a_piece(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, seeds=1)
    folder.add("g2d", task="rsna-seg", references={"mean-mask": {"dice_positive": 0.1}})
    (made,) = summary(select(folder.root), ["g2d"])
    wide = replace(made, columns=tuple(replace(c, heads=(*c.heads[:-1], "x" * 40)) for c in made.columns))
    rows = [[row.name for row in piece.rows] for piece in parts(dress(wide, Look(narrow=True)))]
    assert rows == [["g2d", "mean-mask"], ["g2d", "all-empty"]]


def test_programs_are_given_everything(table: Table) -> None:
    for style in ("csv", "json"):
        with pytest.raises(InputError, match="--format"):
            render([table], style, Look(narrow=True))
        assert "p_against_best" in render([table], style)
