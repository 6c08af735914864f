"""What is not shown is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure


def test_what_stands_outside_of_a_comparison_or_a_printed_table_is_counted(
    folder: Any, other: Any, cli: Callable[..., Any]
) -> None:
    folder.add("g2d")
    other.add("g2d")
    folder.add("mgca")
    result = cli("compare", "--to", other.root)
    assert result.exit_code == 0
    assert result.stderr == (
        f"not compared, since {other.root} lacks them: 1 cells (siim-seg · mgca · 1 % · seed 0 · clean ...)\n"
    )
    assert cli("compare", "--to", other.root, "--encoder", "g2d").stderr == ""
    folder.add("g2d", protocol="legacy")
    result = cli("table", "--paper", "g2d-table1")
    assert result.stderr == "not in this table: records of protocol legacy (--protocol chooses)\n"


def test_failed_cells_are_counted_where_their_numbers_would_stand(
    folder: Any, cli: Callable[..., Any]
) -> None:
    folder.grid({"g2d": 0.6}, seeds=2)
    for encoder, seed in (("g2d", 2), ("mgca", 0)):
        cell = Cell("siim-seg", 0.01, "clean", seed, encoder)
        failure = Failure(key="", cell=cell, bad_input=False, error="", traceback="", created="")
        path = folder.store.path(cell, kind="phantom", version="1.0", key="f" * 64)
        folder.store.fail(folder.store.failure_path(path), failure)
    folder.store.failure_path(path).with_name("0.5-s0.failed.json").write_text("{broken")
    first = "siim-seg · g2d · 1 % · seed 2 · clean"
    said = f"not here, since they failed when they were run: 2 cells ({first} ...)\n"
    assert cli("table").stderr == said
    assert cli("leaderboard").stderr == said
    assert said in cli("figure", "curves").stderr
    assert cli("table", "--encoder", "g2d", "--seed", "0,1").stderr == ""


def test_quoted_numbers_that_fit_nowhere_are_told(folder: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", task="covid-cxr-seg")
    for command in ("table", "leaderboard"):
        result = cli(command, "--with-quoted")
        assert result.exit_code == 0
        assert result.stderr.startswith("--with-quoted: no quoted number has the task")
    folder.add("g2d")
    assert cli("table", "--with-quoted").stderr == ""
