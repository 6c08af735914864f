"""Numbers that an encoder's pre-training may have made too good are marked wherever they stand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.records.record import EncoderPart, read_predictions
from g2d_bench.records.selection import select
from g2d_bench.report.contamination import WORDS, hide, legend, row_sight, seen_by
from g2d_bench.report.curves import curves, draw, remarks
from g2d_bench.report.formats.render import render
from g2d_bench.report.formats.turn import turn
from g2d_bench.report.model import SEEN
from g2d_bench.report.table import blocks, summary

METRICS = {"siim-seg": ("dice_positive",)}
SAW = {"blind": ("mimic-cxr",), "films": ("cxr14:labels",), "labels": ("siim:labels", "mimic-cxr")}
MARKS = {"blind": "", "films": "§", "labels": "¶"}


def part(name: str) -> EncoderPart:
    return EncoderPart(card_hash="e" * 64, weights="a" * 64, scale="published", pretraining=SAW[name])


def add(folder: Any, name: str, quality: float, **more: Any) -> None:
    """Write a record whose encoder saw what :data:`SAW` says."""
    found = folder.add(name, quality, **more)
    record = found.record.model_copy(update={"encoder": part(name)})
    folder.store.save(found.path, record, read_predictions(found.path, found.record))


@pytest.fixture
def three(folder: Any) -> Any:
    """Encoders that saw nothing, the films, the labels of SIIM."""
    for n, name in enumerate(SAW):
        for fraction in (0.01, 0.1):
            add(folder, name, 0.5 + 0.1 * n, fraction=fraction, data_kind="real")
    return folder


def test_every_format_marks_them_and_says_what_the_marks_mean(three: Any) -> None:
    found = select(three.root)
    [table, _] = blocks(found, metrics=METRICS)
    assert {row.name: row.values[0].seen for row in table.rows if row.sort == "measured"} == MARKS
    assert [line[0] for line in table.facts if line[0] in "§¶"] == ["§", "¶"]
    text = render([table], "text")
    markdown = render([table], "md")
    for shown in (text, markdown):
        for name, mark in MARKS.items():
            [line] = [one for one in shown.splitlines() if one.startswith((name, f"| {name}"))]
            assert mark in line
            assert not set("§¶") - {mark} & set(line)
        assert WORDS["images"] in shown
        assert WORDS["labels"] in shown
    latex = render([table], "latex")
    assert r"\textsuperscript{\S{}}" in latex
    assert r"\textsuperscript{\P{}}" in latex
    assert WORDS["labels"] in latex
    rows = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    saw = {row["encoder"]: row["pretraining_saw"] for row in rows if row["sort"] == "measured"}
    assert saw == {"blind": "", "films": "images", "labels": "labels"}
    [shape] = json.loads(render([table], "json"))
    assert [row["values"][0]["pretraining_saw"] for row in shape["rows"]][:3] == ["", "images", "labels"]


def test_a_summary_marks_them_on_its_side_too(three: Any) -> None:
    [table] = summary(select(three.root))
    turned = turn(table)
    first = turned.rows[0].values
    assert [value.seen for value in first[:3]] == list(MARKS.values())
    assert any(WORDS["images"] in fact for fact in turned.facts)


def test_a_cell_without_a_number_bears_no_mark(three: Any) -> None:
    add(three, "films", 0.5, seed=1, data_kind="real")
    [table, _] = blocks(select(three.root), metrics=METRICS)
    values = {row.name: row.values[0] for row in table.rows}
    assert values["blind"].missing == "seed missing"
    assert values["labels"].seen == ""
    assert len(legend(table.rows)) == 1


def test_generated_data_bear_none(folder: Any) -> None:
    add(folder, "labels", 0.5)
    found = select(folder.root)
    assert row_sight(found) == ""
    assert "§" not in render(blocks(found, metrics=METRICS), "text")


def test_the_figure_has_hollow_points_with_the_mark(three: Any) -> None:
    points = curves(select(three.root), "dice_positive")
    axes = draw([points]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["§", "§", "¶", "¶"]
    containers: list[Any] = list(axes.containers)
    faces = [bar.lines[0].get_markerfacecolor() for bar in containers]
    assert [face == "white" for face in faces] == [False, True, True]
    assert [line[0] for line in remarks([points]) if line[0] in "§¶"] == ["§", "¶"]


def test_the_page_marks_and_can_hide_them(three: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    page = made()
    rows = page.rows("siim-seg-0.01-clean-real")
    assert all(mark in rows[name][0] for name, mark in MARKS.items())
    assert not set("§¶") & set(rows["blind"][0])
    text = (tmp_path / "site" / "index.html").read_text()
    assert 'name="clean"' in text
    assert 'data-encoder="films" data-saw="images"' in text
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    assert {row["name"]: row["values"][0]["pretraining_saw"] for row in data["sections"][0]["rows"]}[
        "labels"
    ] == "labels"


def test_they_can_be_left_out(three: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    kept, told = hide(select(three.root))
    assert {one.cell.encoder for one in kept} == {"blind"}
    assert told == [
        "hidden: films saw the images of siim (2 records)",
        "hidden: labels saw the labels of siim (2 records)",
    ]
    shown = cli("table", "--results", three.root, "--hide-contaminated")
    assert shown.exit_code == 0
    assert "films" not in shown.stdout
    assert "hidden: films saw the images of siim (2 records)" in shown.stderr
    figure = cli("figure", "curves", "--results", three.root, "--hide-contaminated", "--out", "f.svg")
    assert figure.exit_code == 0
    assert "§" not in (tmp_path / "f.svg").read_text()
    page = cli("leaderboard", "--results", three.root, "--hide-contaminated", "--out", "page")
    assert page.exit_code == 0
    assert "films" not in (tmp_path / "page" / "index.html").read_text()
    nothing = cli("table", "--results", three.root, "--encoder", "films", "--hide-contaminated")
    assert nothing.exit_code == 2
    assert nothing.stderr.splitlines()[-1].endswith("every encoder saw what it was tested on")


def test_marks_are_told_apart(three: Any) -> None:
    assert len({*SEEN.values()}) == 3
    assert {seen_by(one) for one in select(three.root)} == {"", "images", "labels"}
