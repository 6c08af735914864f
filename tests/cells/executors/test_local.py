"""Cells in worker processes, some of which are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors import local
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.workers import execute
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure, Record

RAN = "ran to its end"
MARK = "G2D_BENCH_TEST_MARK"


def _ran(unit: Unit) -> Sequence[Record | Failure]:
    """Stand for a finished unit (a failure is the smaller thing to make)."""
    return [
        Failure(key="", cell=cell, bad_input=False, error=RAN, traceback="", created="now") for cell in unit
    ]


def die_at_seed_2(unit: Unit) -> Sequence[Record | Failure]:
    """Work that takes its process with it for one cell, whenever it runs."""
    if unit[0].seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return _ran(unit)


def die_once(unit: Unit) -> Sequence[Record | Failure]:
    """Work that takes its process with it the first time alone."""
    mark = Path(os.environ[MARK])
    if unit[0].seed == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return _ran(unit)


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


CELLS = [
    Cell(task="covid-cxr-seg", encoder="random", fraction=1.0, seed=seed, protocol="clean")
    for seed in range(8)
]


def test_a_killed_worker_costs_its_own_cell_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_do", die_at_seed_2)
    report = execute(CELLS, bench, jobs=2)
    errors = {failure.cell.seed: failure.error for failure in report.failures}
    assert [seed for seed, error in errors.items() if error == RAN] == [0, 1, 3, 4, 5, 6, 7]
    assert errors[2].startswith("WorkerDied: its process was killed")
    [left] = Path(bench.settings.results).rglob("*.json")
    assert left.name == "1-s2.failed.json"


def test_a_worker_killed_by_chance_costs_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_do", die_once)
    report = execute(CELLS, bench, jobs=2)
    assert [failure.error for failure in report.failures] == [RAN] * 8


def test_as_many_processes_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 16)
    monkeypatch.setattr(local, "free_memory", lambda: 8 << 30)
    assert local.processes(40, None, 2 << 30) == 2
    assert local.processes(40, None, 0) == 6
    assert local.processes(1, None, 2 << 30) == 1
    assert not capsys.readouterr().err
    assert local.processes(40, 4, 2 << 30) == 4, "the user's word counts"
    assert "13.1 GiB of memory, and 8.0 GiB are free: --jobs 2 is safe" in capsys.readouterr().err
    monkeypatch.setattr(local, "free_memory", lambda: 1)
    assert local.processes(40, None, 2 << 30) == 1
    monkeypatch.setattr(local, "free_memory", lambda: None)
    assert local.processes(40, None, 2 << 30) == 16
