"""Units as jobs: through submitit's local and debug executors, and what would be asked of Slurm."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors import EXECUTORS, slurm
from g2d_bench.cells.executors.away import Made, Order, Parcel
from g2d_bench.cells.executors.base import Wishes
from g2d_bench.cells.executors.ledger import Ledger
from g2d_bench.cells.executors.needs import Needs
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.workers import execute
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure

CELLS = [Cell("covid-cxr-seg", 1.0, "clean", seed, "random") for seed in range(3)]
MARK = "G2D_BENCH_TEST_MARK"


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    pytest.importorskip("submitit")
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


@pytest.fixture
def local(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let jobs be processes of this machine that know this module, looked at often; returns their folder."""
    monkeypatch.setattr(slurm, "PAUSE", 0.1)
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(slurm.__file__).parents[3]}")
    return bench.store.root.absolute() / slurm.JOBS_FOLDER


def ran(order: Order, unit: Unit) -> Parcel:
    """Stand for a job that went through (a failure is the smaller thing to make)."""
    made = [
        Failure(key="", cell=cell, bad_input=False, error="ran", traceback="", created="now") for cell in unit
    ]
    return Parcel("host", "", tuple(Made("", one.model_dump_json().encode()) for one in made))


def dies_once(order: Order, unit: Unit) -> Parcel:
    """A job whose process is killed at its first try."""
    mark = Path(os.environ[MARK])
    if unit[0].seed == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return ran(order, unit)


def test_jobs_of_this_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "carry_out", ran)
    report = execute(CELLS, bench, executor=slurm.Slurm(Wishes(options={"cluster": "debug"})))
    assert [failure.error for failure in report.failures] == ["ran"] * 3


def test_a_job_that_is_lost_is_sent_once_more(
    bench: Bench, local: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm, "carry_out", dies_once)
    wishes = Wishes(jobs=2, options={"cluster": "local"})
    report = execute(CELLS[:2], bench, executor=slurm.Slurm(wishes))
    assert [failure.error for failure in report.failures] == ["ran"] * 2
    said = capsys.readouterr().err
    assert said.count("sent once more") == 1
    assert "seed 1" in next(line for line in said.splitlines() if "sent once more" in line)
    assert len(list(local.glob("*_result.pkl"))) == 0
    assert len(list(local.glob("*.err"))) == 3


def tries(order: Order, unit: Unit) -> Parcel:
    """A job that says that it was run."""
    with Path(os.environ[MARK]).open("a") as stream:
        stream.write(f"{unit[0].seed}\n")
    return ran(order, unit)


def test_jobs_that_outlive_their_run_are_taken_up(
    bench: Bench, local: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm, "carry_out", tries)
    wishes = Wishes(jobs=3, options={"cluster": "local"})
    ledger = Ledger("local", local, bench)
    killed = slurm._Sender("local", local, wishes, Order.of(bench), Needs([], 0), ledger)
    units = [(cell,) for cell in CELLS[:2]]
    handles = killed.send(units)
    while not all(killed._out[one].done() for one in handles):
        time.sleep(0.1)
    # The run ends here without another word; the next one finds what its jobs have made.
    report = execute(CELLS, bench, executor=slurm.Slurm(wishes))
    assert [failure.error for failure in report.failures] == ["ran"] * 3
    assert sorted(Path(os.environ[MARK]).read_text().split()) == ["0", "1", "2"]
    assert f"2 jobs of an earlier run taken up, from {handles[0]} on" in capsys.readouterr().err
    assert not list(local.glob("*_result.pkl"))
    assert not any(Ledger("local", local, bench).earlier(unit) for unit in units)


class FakeExecutor:
    """What the sender uses of submitit's executor."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def update_parameters(self, **given: Any) -> None:
        self.given |= given

    def map_array(self, work: Any, orders: list[Order], units: list[Unit]) -> list[Any]:
        return [SimpleNamespace(job_id=f"7_{n}", cancel=lambda check: None) for n in range(len(units))]


def test_what_is_asked_of_slurm(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")
    fake = FakeExecutor()
    monkeypatch.setattr(submitit, "AutoExecutor", lambda folder, cluster: fake)
    options = {"partition": "gpu", "account": "x", "cpus": "8", "gpus": "1", "timeout_min": "90"}
    wishes = Wishes(jobs=16, options=options)
    order = Order(Settings(), bench.options)
    ledger = Ledger("slurm", tmp_path, bench)
    sender = slurm._Sender("slurm", tmp_path, wishes, order, Needs([], 0), ledger)
    assert sender.send([(cell,) for cell in CELLS]) == ["7_0", "7_1", "7_2"]
    assert fake.given == {
        "name": "g2d-bench",
        "timeout_min": 90,
        "cpus_per_task": 8,
        "gpus_per_node": 1,
        "mem_gb": 2,
        "slurm_array_parallelism": 16,
        "slurm_partition": "gpu",
        "slurm_account": "x",
    }
    assert sender.elsewhere(Parcel("n7", "", lacks="/data: no such folder"))
    assert fake.given["slurm_exclude"] == "n7"
    for n in range(slurm.BAD_NODES - 1):
        sender.elsewhere(Parcel(f"m{n}", "", lacks="/data: no such folder"))
    assert not sender.elsewhere(Parcel("another", "", lacks="/data: no such folder"))


def test_without_slurm_it_is_one_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="no Slurm here"):
        execute(CELLS, bench, executor=slurm.Slurm(Wishes()))


@pytest.mark.parametrize("options", [{"partitoin": "x"}, {"cluster": "pbs"}, {"cpus": "all"}])
def test_wrong_options(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="--executor-option"):
        EXECUTORS["slurm"](Wishes(options=options))
