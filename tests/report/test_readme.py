"""README shows what the committed records say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from g2d_bench.cards import Catalogue
from g2d_bench.cli_report import row_order
from g2d_bench.report.embed import embedded
from g2d_bench.report.evidence import Evidence
from g2d_bench.report.formats import render
from g2d_bench.report.model import GENERATED
from g2d_bench.report.table import summary
from g2d_bench.selection import select

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "results" / "phantom"


def lines(text: str) -> list[str]:
    """Return the lines of numbers without what takes draws: bold type, and ± where there is one seed."""
    grid = [line for line in text.replace("**", "").splitlines() if line.startswith("|")]
    return [line if "%" in line.split("|")[1] else re.sub(r" ± [0-9.]+", "", line) for line in grid]


def test_readme_is_in_step_with_the_records() -> None:
    if not COMMITTED.is_dir():
        pytest.skip("no reference records here; `make reference` makes them")
    found = select(COMMITTED)
    main = {task.name: task.main for task in Catalogue.open().tasks}
    made = render(summary(found, row_order(found), main=main, evidence=Evidence(0)), "md")
    there = embedded(ROOT / "README.md")
    assert lines(there) == lines(made), "run `make readme`"
    assert len(lines(there)) > 20
    assert re.sub(r"[\\]", "", there).count(GENERATED) == made.count("protocol")
    for signature in {found.record.signature for found in found}:
        assert signature in re.sub(r"[\\]", "", there)
    assert (ROOT / "docs" / "img" / "curves-siim-seg.png").is_file()
