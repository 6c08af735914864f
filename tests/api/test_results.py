"""Results as a data frame, tables, a notebook's cell and a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import g2d_bench as gb
from g2d_bench.api.results import COLUMNS
from g2d_bench.report.formats import FORMATS

SPEC = gb.ImageSpec(64, scale="phantom")


@pytest.fixture
def mine(clip: nn.Module) -> gb.Results:
    return gb.evaluate(clip, ["rsna-cls", "rsna-zeroshot", "rsna-seg"], spec=SPEC, fractions=[0.5, 1.0])


def test_a_frame_has_a_row_per_cell_and_metric(mine: gb.Results) -> None:
    frame = mine.frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == sum(len(record.metrics) for record in mine.records)
    row = frame[(frame.task == "rsna-cls") & (frame.metric == "auroc") & (frame.fraction == 1.0)].iloc[0]
    [record] = [r for r in mine.records if r.cell.task == "rsna-cls" and r.cell.fraction == 1.0]
    assert row.value == record.metrics["auroc"]
    assert row.low <= row.value <= row.high
    assert (row.encoder, row.n, row["data"], row.scale) == ("clip", 24, "phantom", "phantom")
    assert row.signature == record.signature
    assert row.seconds == pytest.approx(sum(record.seconds.values()), abs=1e-3)
    lacking = frame[frame.task == "rsna-seg"]
    assert set(lacking.reason) == {"gives no feature maps"}
    assert lacking.value.isna().all()


def test_the_page_names_the_columns() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    (said,) = re.findall(r"^\| `frame\(.*?one row per cell and metric: (.*) \|$", page, re.M)
    assert tuple(re.findall(r"`(\w+)`", said)) == COLUMNS


def test_intervals_can_be_left_out(mine: gb.Results) -> None:
    frame = mine.frame(intervals=False)
    assert frame.low.isna().all()
    assert frame.value.equals(mine.frame().value)


@pytest.mark.parametrize("style", [*FORMATS, "markdown"])
def test_tables_come_in_every_format(style: str, mine: gb.Results) -> None:
    text = mine.table(style)
    assert "rsna-cls" in text
    assert "clip" in text.lower()
    if style == "json":
        json.loads(text)


def test_an_unknown_format_is_one_line(mine: gb.Results) -> None:
    with pytest.raises(gb.InputError, match=r"did you mean|allowed") as caught:
        mine.table("markdwn")
    assert "\n" not in str(caught.value)


def test_a_notebook_shows_what_it_is_measured_on(mine: gb.Results) -> None:
    html = mine._repr_html_()
    assert "GENERATED DATA (phantom)" in html
    assert html.count("<tr") == len(mine.frame()) + 1
    assert "n/a" in html
    assert repr(mine).startswith(f"<{len(mine)} records>")


def test_nothing_is_shown_of_nothing() -> None:
    empty = gb.Results([])
    assert (len(empty), len(empty.frame()), empty.table(), repr(empty)) == (0, 0, "", "<0 records>")
    assert "no records" in empty._repr_html_()


def test_html_is_escaped(vector: nn.Module) -> None:
    results = gb.evaluate(vector, "rsna-cls", spec=SPEC, fractions=[1.0], name="<b>x</b>")
    assert "<b>x" not in results._repr_html_()


def test_what_is_saved_reads_as_what_was_measured(mine: gb.Results, tmp_path: Path) -> None:
    paths = mine.save(tmp_path / "runs")
    assert all(path.is_file() for path in paths)
    read = gb.load_results(tmp_path / "runs")
    order = ["task", "fraction", "metric"]
    there, here = (one.frame().sort_values(order, ignore_index=True) for one in (mine, read))
    assert there.equals(here)
    assert read.save(tmp_path / "again")
    assert {r.digest for r in gb.load_results(tmp_path / "again").records} == {r.digest for r in mine.records}


def test_without_predictions_nothing_is_saved(mine: gb.Results, tmp_path: Path) -> None:
    mine.save(tmp_path / "runs")
    read = gb.load_results(tmp_path / "runs")
    assert len(read.save(tmp_path / "runs")) == len(read)
    *_, gone = sorted((tmp_path / "runs").rglob("*.npz"))
    gone.unlink()
    with pytest.raises(gb.InputError, match=rf"{gone.name}: the file with the predictions is missing"):
        read.save(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_command_line_takes_what_is_saved(
    mine: gb.Results, cli: Callable[..., Any], films: Path, tmp_path: Path
) -> None:
    mine.save("saved")
    table = cli("table", "--results", "saved")
    assert table.exit_code == 0, table.output
    assert "GENERATED" in table.stdout
    assert "clip" in table.stdout.lower()
    checked = cli("verify", "saved", "--data-root", films)
    assert checked.exit_code == 0, checked.output
    assert "all as recorded" in checked.stdout
    page = cli("leaderboard", "--results", "saved", "--out", "site")
    assert page.exit_code == 0, page.output


def test_results_stand_side_by_side(mine: gb.Results, vector: nn.Module) -> None:
    other = gb.evaluate(vector, "rsna-cls", spec=SPEC, fractions=[1.0])
    both = mine + other
    assert len(both) == len(mine) + len(other)
    assert {"clip", "vector"} <= set(both.frame(intervals=False).encoder)
    assert "\nvector " in both.table()


def test_several_folders_are_read_side_by_side(mine: gb.Results, vector: nn.Module) -> None:
    other = gb.evaluate(vector, "rsna-cls", spec=SPEC, fractions=[1.0])
    mine.save("one")
    (mine + other).save("two")
    assert len(gb.load_results("one", "two")) == len(mine) + len(other)
    with pytest.raises(gb.InputError, match="no such folder"):
        gb.load_results("one", "three")


def test_shipped_records_are_found_from_anywhere() -> None:
    assert len(gb.load_results("results/phantom")) > 100
