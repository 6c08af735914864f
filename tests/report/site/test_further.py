"""What a page shows beyond its tables of scores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import select
from g2d_bench.report.site.further import further_tables

TRAINED = {"task": "siim-seg", "dataset": "siim", "kind": "phantom", "hash": "b" * 64, "split_hash": "c" * 64}


def section(page: Path) -> str:
    """Return what stands below the heading of these tables."""
    return page.read_text().partition('<div id="further">')[2].partition("</main>")[0]


def test_inside_and_outside_and_groups_stand_in_one_section(
    folder: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    index = tmp_path / "site" / "index.html"
    assert further_tables([], []) == []
    folder.add("<b>g2d", 0.8)
    found = select(folder.root)
    assert further_tables(found, found) == []
    there = folder.add(
        "<b>g2d", 0.5, task="siim-to-rsna-seg", notes={"trained_on": TRAINED, "tested_on": "rsna"}
    )
    arrays = read_predictions(there.path, there.record)
    views = np.array(["AP", "PA"] * (len(arrays["id"]) // 2))
    folder.store.save(there.path, there.record, {**arrays, "group_view": views})
    found = select(folder.root)
    tables = further_tables(found, found)
    assert [table.columns[0].heads[0] for table in tables] == ["inside", "all"]
    result = cli("leaderboard", "--results", folder.root, "--out", "site")
    assert result.exit_code == 0, result.output
    page = section(index)
    assert page.count("<table>") == page.count("</table>") == 2
    assert "&lt;b&gt;g2d" in page
    assert "<b>g2d" not in page
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>.*?</td>", page)]
    assert cells == [str(value) for table in tables for value in table.rows[0].values]
    assert page.count("GENERATED DATA") == 2
    # Choices concern these tables as all others.
    facts = 'data-task="siim-to-rsna-seg" data-kind="segmentation" data-protocol="clean" data-fraction="1 %"'
    assert page.count(f'<section class="further" {facts} data-data="generated">') == 2
    # Programs read them, too.
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    assert [table["title"] for table in data["further"]] == [table.title for table in tables]
    assert data["further"][0]["rows"][0]["values"][2]["column"] == ["drop", "inside - outside"]
    # A choice of tasks does not hide the inside score.
    result = cli("leaderboard", "--results", folder.root, "--task", "siim-to-rsna-seg", "--out", "site")
    assert result.exit_code == 0, result.output
    assert page.split("<table>")[1].partition("</table>")[0] in section(index)
