"""The page of results shows what the committed records say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from g2d_bench.cells.settings import Settings
from g2d_bench.cli.records import main_metrics, row_order
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import select
from g2d_bench.report.formats.embed import embedded
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import GENERATED
from g2d_bench.report.table import summary

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "results" / "phantom"


def cells(text: str) -> list[list[str]]:
    """Return the table's cells without bold type, which takes bootstrap draws."""
    grid = [line for line in text.replace("**", "").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in grid]


def without_draws(there: list[list[str]], made: list[list[str]]) -> list[list[str]]:
    """Drop ± where it was made without: with one seed it takes draws."""
    return [
        [one if "±" in other else re.sub(r" ± [0-9.]+", "", one) for one, other in zip(a, b, strict=True)]
        for a, b in zip(there, made, strict=True)
    ]


def test_page_is_in_step_with_the_records() -> None:
    if not COMMITTED.is_dir():
        pytest.skip("no reference records here; `make reference` makes them")
    found = select(COMMITTED)
    main = main_metrics(found, Settings())
    made = render(summary(found, row_order(found), main=main, evidence=Evidence(0)), "md")
    there = embedded(ROOT / "docs" / "results.md")
    shown, expected = cells(there), cells(made)
    assert [line[1] for line in shown] == [line[1] for line in expected], "run `make results`"
    assert without_draws(shown, expected) == expected, "run `make results`"
    assert len(shown) > 20
    assert re.sub(r"[\\]", "", there).count(GENERATED) == made.count("protocol")
    for signature in {found.record.signature for found in found}:
        assert signature in re.sub(r"[\\]", "", there)
    assert (ROOT / "docs" / "img" / "curves-siim-seg.png").is_file()
