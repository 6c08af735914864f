"""Tables as text."""

from __future__ import annotations

from typing import Any

from g2d_bench.records.selection import select
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Table
from g2d_bench.report.table import paper_table


def test_text_is_narrow_and_marks_the_best(tables: list[Table]) -> None:
    text = render(tables[:1])
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("encoder"))
    header, body = lines[start], lines[start + 2 :]
    assert len(header) <= 120
    assert body[0].startswith("random")
    best = next(line for line in body if line.startswith("g2d"))
    assert "*" in best
    assert "*" not in body[0].split("±")[0]
    assert lines[-1].startswith("signature ")


def test_wide_text_puts_intervals_below(folder: Any) -> None:
    folder.grid({"random": 0.4}, (0.01, 0.1, 1.0))
    text = render([paper_table("g2d-table1", select(folder.root))])
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("random"))
    assert "[" not in lines[start]
    assert lines[start + 1].lstrip().startswith("[")
    head = next(line for line in lines if "segmentation" in line and "---" in line)
    assert head.count("segmentation") == 1
