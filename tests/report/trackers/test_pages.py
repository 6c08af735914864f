"""Tables and a picture of a run."""

from __future__ import annotations

from typing import Any

from g2d_bench.records.selection import select
from g2d_bench.report.table import blocks
from g2d_bench.report.trackers.pages import pages_of


def test_a_run_as_a_whole(folder: Any) -> None:
    folder.grid({"g2d": 0.6, "random": 0.4}, (0.01, 0.1), seeds=1)
    found = select(folder.root)
    tables = blocks(found, ["random"], metrics={})
    made = pages_of(found, tables, {"siim-seg": "dice_positive"})
    assert "GENERATED DATA" in made.tables
    assert len(made.rows) == sum(len(one.record.metrics) for one in found)
    assert made.picture is not None
    assert made.picture.shape[2] == 3
    assert made.picture.std() > 0
    assert pages_of(found, tables, {}).picture is None
