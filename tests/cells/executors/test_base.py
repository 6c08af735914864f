"""What is sent to other processes, and how executors of other packages are found."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.executors import DEFAULT, EXECUTORS
from g2d_bench.cells.executors.base import Errand, Wishes, Work
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Standing
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure

CELL = Cell("covid-cxr-seg", 1.0, "clean", 0, "random")


@pytest.fixture
def work(tiny_root: Path, tmp_path: Path) -> Work:
    settings = Settings(data_root=tiny_root, results=tmp_path / "runs")
    bench = Bench(settings, Options(allow_leaks="a trial"))
    return Work(bench, Standing.of([bench.resolve(CELL)], bench.store))


def test_an_errand_travels_and_is_the_same_work(work: Work) -> None:
    errand: Errand = pickle.loads(pickle.dumps(work.errand()))
    begun = errand.begin()
    assert begun.standing == work.standing
    assert begun.bench.options == work.bench.options
    assert begun.bench.resolve(CELL).key == work.bench.resolve(CELL).key


def test_a_process_that_died_leaves_failures(work: Work) -> None:
    done = work.failed((CELL,), MemoryError("no more"))
    assert done is not None
    [failure] = done
    assert isinstance(failure, Failure)
    assert failure.error == "MemoryError: no more"
    assert work.bench.locate_failure(CELL)[1].is_file()


def test_executors_have_names() -> None:
    assert DEFAULT in EXECUTORS
    assert hasattr(EXECUTORS[DEFAULT](Wishes()), "run")
    with pytest.raises(InputError, match=r"unknown executor 'locl'.*local"):
        EXECUTORS["locl"]
