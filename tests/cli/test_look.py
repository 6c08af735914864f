"""Options of a paper's tables and figures, as a user gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK = ("--no-intervals", "--titles", "--p-values", "--narrow")


def test_a_table_for_a_paper(folder: Any, cli: Callable[..., Any], refused: Callable[..., None]) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1))
    text = cli("table", "--summary", *LOOK).stdout
    # No card title is in these records; the shipped cards bear them.
    assert "\nRandom" in text
    assert "\nG2D" in text
    assert "SIIM segmentation, Dice (%)" in text
    assert "p<0.001" in text
    assert "[" not in text
    latex = cli("table", "--summary", *LOOK, "--format", "latex")
    assert latex.exit_code == 0
    assert r"$p<$0.001" in latex.stdout
    refused(cli("table", "--format", "csv", "--narrow"), "--format: csv holds intervals")


def test_a_figure_for_a_paper(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1))
    assert cli("figure", "curves", *LOOK, "--out", "narrow.svg").exit_code == 0
    assert cli("figure", "curves", "--out", "wide.svg").exit_code == 0
    narrow, wide = ((tmp_path / f"{name}.svg").read_text() for name in ("narrow", "wide"))
    for said, text in (("hollow: worse", narrow), ("SIIM segmentation", narrow), ("bars: 95", wide)):
        assert f"<!-- {said}" in text or said in text
    assert "bars: 95" not in narrow
    assert "hollow" not in wide
    # 3.4 inches of 72 points.
    assert 'width="244.8pt"' in narrow
