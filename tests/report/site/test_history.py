"""How a number moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.records.selection import read_folder
from g2d_bench.report.site.history import earlier


def test_earlier_records_of_the_same_cell_are_told_with_what_changed(
    folder: Any, other: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    found = folder.add("g2d", 0.6, created="2026-03-01T00:00:00+00:00")
    other.add("g2d", 0.4, created="2026-01-01T00:00:00+00:00", commit="aaaaaaaaaaaa", version="0.9")
    other.add("mgca", 0.4)
    kept = earlier(read_folder(folder.root), [other.root])
    assert [record.commit for record in kept[found.cell]] == ["aaaaaaaaaaaa"]
    made("--history", str(other.root))
    copy = next((tmp_path / "site" / "records").rglob("*.html"))
    text = copy.read_text()
    assert "2026-01-01" in text
    assert "commit aaaaaaaaaaaa -&gt; 0123456789ab" in text
    assert "siim-seg@0.9" in text


def test_copies_and_other_data_are_no_history(folder: Any, other: Any) -> None:
    folder.add("g2d", 0.6)
    other.add("g2d", 0.6)
    other.add("g2d", 0.6, data_kind="real", created="2026-01-02T00:00:00+00:00")
    assert earlier(read_folder(folder.root), [other.root, folder.root]) == {}
