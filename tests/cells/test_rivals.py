"""A second set of weights under one name is told before it runs; a decoder that predicts nothing, after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from g2d_bench.cli.main import main
from g2d_bench.records.store import Store

Run = Callable[..., Result]
CARD = """
title = "Mine"
objective = "none"
scale = "phantom"
weights = "none"
[image]
model = "resnet18"
options = { channels = [8, 8, 16, WIDTH] }
size = 32
"""
CELL = ("--task", "covid-cxr-seg", "--encoder", "mine", "--fraction", "100%", "--protocol", "quick")


@pytest.fixture
def run(tmp_path: Path, tiny_root: Path, quick_protocols: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards").mkdir()

    def call(command: str, *arguments: str, width: int = 16) -> Result:
        (tmp_path / "cards" / "mine.toml").write_text(CARD.replace("WIDTH", str(width)))
        common = ["--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols)]
        return CliRunner().invoke(main, [command, *arguments, *common, "--encoders-dir", "cards"])

    return call


def test_other_weights_under_one_name_are_told_before_they_run(run: Run) -> None:
    first = run("run", *CELL)
    assert first.exit_code == 0, first.output
    assert "weights" not in first.stderr
    again = run("run", *CELL)
    assert "weights" not in again.stderr, "a finished cell is no rival of itself"

    planned = run("plan", *CELL, width=24)
    assert "mine: runs holds 1 record of these cells with other weights" in planned.stderr
    second = run("run", *CELL, width=24)
    assert second.exit_code == 0, second.output
    told, *_, done = second.stderr.splitlines()
    assert told.startswith("mine: runs holds 1 record of these cells with other weights, such as runs/real/")
    assert "`table` will refuse to show both" in told
    assert "--results" in told
    assert "covid-cxr-seg · mine" in done
    assert len(list(Store(Path("runs")))) == 2
    refused = CliRunner().invoke(main, ["table"])
    assert refused.exit_code == 2
    assert "two records for one cell" in refused.stderr


def test_a_decoder_that_predicts_nothing_says_so_everywhere(
    run: Run, quick_protocols: Path, tmp_path: Path
) -> None:
    text = (quick_protocols / "quick.toml").read_text()
    part = text.index("[segmentation]")
    # No probability is above it.
    text = text[:part] + text[part:].replace("threshold = 0.5", "threshold = 0.999999", 1)
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf" / "deaf.toml").write_text(text)
    cell = [*CELL[:-1], "deaf", "--protocols-dir", "deaf"]
    result = run("run", *cell)
    assert result.exit_code == 0, result.output
    nothing = "predicts nothing on any of the 10 test images: its numbers are those of all-empty"
    validation = "best dice_positive on validation (0) is no better than that of all-empty"
    [(_, record)] = list(Store(Path("runs")))
    assert record.notes["predicts_nothing"] == f"{nothing}; {validation}"
    assert record.metrics["dice_positive"] == 0
    assert f"done; WARNING: {nothing}" in result.stderr
    for shown in (result.stdout, CliRunner().invoke(main, ["table"]).stdout):
        assert f"mine in covid-cxr-seg at 100 %, seed 0: {nothing}" in shown
