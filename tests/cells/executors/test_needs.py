"""Memory to set aside, from the records that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from g2d_bench.cells.executors.local import PROCESS
from g2d_bench.cells.executors.needs import MARGIN, Memory
from g2d_bench.records.cell import Cell


def test_memory_is_that_of_records_alike(folder: Any, tmp_path: Path) -> None:
    folder.add("g2d", seed=0, peak_memory_mb=900)
    found = folder.add("g2d", seed=1, peak_memory_mb=2000)
    (tmp_path / "torn.json").write_text("{")
    memory = Memory([*folder.store.files(), tmp_path / "torn.json", tmp_path / "none.json"], 1 << 30)
    assert memory.of((found.cell,)) == round(MARGIN * (2000 << 20))
    assert memory.of((Cell("rsna-cls", 1.0, "clean", 0, "g2d"),)) == PROCESS + (1 << 30)
