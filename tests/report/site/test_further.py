"""What a page shows beyond its tables of scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import select
from g2d_bench.report.site.further import further_tables, section

TRAINED = {"task": "siim-seg", "dataset": "siim", "kind": "phantom", "hash": "b" * 64, "split_hash": "c" * 64}


def test_inside_and_outside_and_groups_stand_in_one_section(
    folder: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert section(further_tables([], [])) == ""
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
    page = section(tables)
    assert page.count("<table>") == page.count("</table>") == 2
    assert "&lt;b&gt;g2d" in page
    assert "<b>g2d" not in page
    for table in tables:
        for value in table.rows[0].values:
            assert f">{value}</td>" in page
    assert page.count("GENERATED DATA") == 2
    result = cli("leaderboard", "--results", folder.root, "--out", "site")
    assert result.exit_code == 0, result.output
    index = (tmp_path / "site" / "index.html").read_text()
    assert page in index
    # A choice of tasks does not hide the inside score.
    result = cli("leaderboard", "--results", folder.root, "--task", "siim-to-rsna-seg", "--out", "site")
    assert result.exit_code == 0, result.output
    assert page.split("<table>")[1] in (tmp_path / "site" / "index.html").read_text()
