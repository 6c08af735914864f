"""The leaderboard page: complete, honest about generated data, whole or not there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from g2d_bench.records.record import read_record
from g2d_bench.report.model import GENERATED
from g2d_bench.report.site.page import WIDTH


def test_every_number_stands_there_best_first_with_its_records(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6, "mgca": 0.5}, (0.01, 0.1))
    page = made()
    assert page.depth == []
    for fraction in ("0.01", "0.1"):
        table = page.rows(f"siim-seg-{fraction}-clean-generated")
        assert list(table) == ["encoder", "g2d", "mgca", "random", "all-empty"]
        assert table["encoder"][0] == "dice_positive ★"
        assert [row[-1] for row in table.values()] == ["records (by seed)", "0 1 2", "0 1 2", "0 1 2", ""]
    lines = json.loads(cli("table", "--results", folder.root, "--format", "json").stdout)
    shown = {name: row[0] for name, row in page.rows("siim-seg-0.1-clean-generated").items()}
    ten = next(table for table in lines if "10 %" in table["title"])
    for row in ten["rows"]:
        value = row["values"][0]
        assert shown[row["name"]].startswith(f"{value['mean']:.1f}")
    overview = page.rows("overview")
    assert overview["siim-seg, dice_positive · 10 %"][2] == shown["g2d"]

    # Each link leads to a copy of the record, or into the page.
    targets = [unquote(link) for link in page.links if link.startswith("records/")]
    assert len(targets) == len(set(targets)) == 18
    for target in targets:
        copy = tmp_path / "site" / target
        assert copy.read_bytes() == (folder.root / target.removeprefix("records/")).read_bytes()
        assert read_record(copy).cell.task == "siim-seg"
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside == set(page.sections) - {"overview"}
    assert {link for link in page.links if link[0] not in "#r"} == {"leaderboard.json"}


def test_intervals_are_drawn_to_scale(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    page = made()
    ends = [(float(line["x1"] or "nan"), float(line["x2"] or "nan")) for line in page.lines]
    assert ends
    assert all(0 < low <= high < WIDTH for low, high in ends)
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    first = [row["values"][0] for row in data["sections"][0]["rows"] if row["sort"] == "measured"]
    low, high = min(v["low"] for v in first), max(v["high"] for v in first)
    columns = len(data["sections"][0]["rows"][0]["values"])
    for value, (left, right) in zip(first, ends[::columns], strict=True):
        assert left == pytest.approx(3 + (WIDTH - 6) * (value["low"] - low) / (high - low), abs=0.06)
        assert right == pytest.approx(3 + (WIDTH - 6) * (value["high"] - low) / (high - low), abs=0.06)


def test_generated_data_says_so_at_every_table_and_real_data_does_not(
    folder: Any, made: Callable[..., Any]
) -> None:
    folder.grid({"g2d": 0.6}, data_kind="real")
    page = made()
    assert GENERATED not in page.texts
    folder.grid({"g2d": 0.4, "mgca": 0.5})
    page = made()
    assert page.texts.count(GENERATED) == 2, "above the page and above its table"
    assert list(page.sections) == [
        *("overview", "siim-seg-0.01-clean-generated", "siim-seg-0.01-clean-real"),
    ]


def test_names_and_titles_are_text(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    name = "<script>alert('&')</script>"
    folder.grid({"g2d": 0.6}, command=f"g2d-bench run --encoder '\"><b>{name}'")
    folder.add("odd name+x", 0.4)
    page = made("--title", name)
    text = (tmp_path / "site" / "index.html").read_text()
    assert name not in text
    assert name in page.texts
    assert text.count("<script>") == 1
    assert (tmp_path / "site" / unquote(next(link for link in page.links if "odd" in link))).is_file()
    assert not any(" " in link for link in page.links)


def test_no_number_where_a_seed_is_missing(folder: Any, made: Callable[..., Any]) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    folder.add("mgca", 0.9, seed=0)
    table = made().rows("siim-seg-0.01-clean-generated")
    assert list(table) == ["encoder", "g2d", "random", "mgca", "all-empty"]
    assert table["mgca"][0] == "n/a"


def test_nothing_is_fetched_from_elsewhere(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.add("g2d")
    made()
    text = (tmp_path / "site" / "index.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<link|src=", text)
