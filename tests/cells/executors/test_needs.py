"""Memory to set aside, from the records that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from g2d_bench.cells.executors.local import PROCESS
from g2d_bench.cells.executors.needs import MARGIN, Needs
from g2d_bench.records.cell import Cell


def test_memory_is_that_of_records_alike(folder: Any, tmp_path: Path) -> None:
    folder.add("g2d", seed=0, peak_memory_mb=900)
    found = folder.add("g2d", seed=1, peak_memory_mb=2000)
    (tmp_path / "torn.json").write_text("{")
    needs = Needs([*folder.store.files(), tmp_path / "torn.json", tmp_path / "none.json"], 1 << 30)
    assert needs.memory((found.cell,)) == round(MARGIN * (2000 << 20))
    assert needs.memory((Cell("rsna-cls", 1.0, "clean", 0, "g2d"),)) == PROCESS + (1 << 30)


def test_what_lasts_longest_begins_first(folder: Any) -> None:
    for encoder, seconds in {"g2d": 5.0, "mgca": 50.0, "random": 1.0}.items():
        folder.add(encoder, seconds={"train and predict": seconds})
    units = [(Cell("siim-seg", 0.01, "clean", 7, name),) for name in ("random", "gloria", "g2d", "mgca")]
    order = [unit[0].encoder for unit in Needs(folder.store.files(), 0).longest_first(units)]
    assert order == ["mgca", "gloria", "g2d", "random"], "what was never timed counts as the mean"
    assert Needs([], 0).longest_first(units) == units
