"""Cells in worker processes, some of which are killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors import local
from g2d_bench.cells.executors.base import Wishes
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.workers import execute
from g2d_bench.errors import InputError
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


def say_its_gpu(unit: Unit) -> Sequence[Record | Failure]:
    """Work that says which GPU its process sees, and lasts a moment, so that each process gets some."""
    time.sleep(0.3)
    return [
        Failure(
            key="",
            cell=cell,
            bad_input=False,
            traceback="",
            created="now",
            error=f"{os.environ.get(local.VISIBLE)} {os.getpid()}",
        )
        for cell in unit
    ]


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
    assert local.processes(40, None, 2 << 30, slots=4) == 4, "one for each GPU, whatever cores there are"
    assert local.processes(3, None, 2 << 30, slots=4) == 3


@pytest.fixture
def four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that looks as if it had four GPUs."""
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(local, "_DEVICES", tmp_path)
    monkeypatch.delenv(local.VISIBLE, raising=False)
    monkeypatch.delenv("G2D_BENCH_DEVICE", raising=False)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        (None, ("0", "1", "2", "10")),
        ("2, 0", ("2", "0")),
        ("GPU-8932f937,GPU-1", ("GPU-8932f937", "GPU-1")),
        ("1,-1,2", ("1",)),
        ("", ()),
    ],
)
def test_gpus_that_may_be_used(
    allowed: str | None, found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if allowed is not None:
        monkeypatch.setenv(local.VISIBLE, allowed)
    assert local.gpus() == found
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    assert local.gpus() == ()


def gpus_of(report: Any) -> dict[str, str]:
    """Return the GPU of each process."""
    return {process: gpu for gpu, process in (failure.error.split() for failure in report.failures)}


@pytest.mark.usefixtures("four_gpus")
def test_a_process_for_each_gpu(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_do", say_its_gpu)
    named = Wishes(devices=("0", "2"), per_gpu=2)
    found = gpus_of(execute(CELLS, bench, executor=local.Local(named)))
    assert sorted(found.values()) == ["0", "0", "2", "2"]
    found = gpus_of(execute(CELLS[:1], bench, executor=local.Local(Wishes(devices=("2",)))))
    assert list(found.values()) == ["2"], "one that was named is used by one cell, too"


@pytest.mark.usefixtures("four_gpus")
def test_by_default_every_gpu_works(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_do", say_its_gpu)
    monkeypatch.setattr(local, "free_memory", lambda: None)
    found = gpus_of(execute(CELLS, bench))
    assert sorted(found.values()) == ["0", "1", "10", "2"]


def test_what_this_machine_does_not_take() -> None:
    with pytest.raises(InputError, match="--address"):
        local.Local(Wishes(address="10.0.0.1:6379"))
    with pytest.raises(InputError, match=r"local knows no 'partition'"):
        local.Local(Wishes(options={"partition": "gpu"}))
