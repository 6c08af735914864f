"""Several runs on one folder of results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Elsewhere, Standing, freed, lease_path
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure

CELL = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path) -> Bench:
    """Real data of forty films, and an empty folder of results."""
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


def fail(bench: Bench, cell: Cell, key: str) -> Failure:
    """Leave a failure as another run would."""
    failure = Failure(key=key, cell=cell, bad_input=False, error="x", traceback="", created="")
    bench.store.fail(bench.locate_failure(cell)[1], failure)
    return failure


def test_only_what_came_since_counts(bench: Bench) -> None:
    key = bench.resolve(CELL).key
    fail(bench, CELL, key)
    standing = Standing.of([bench.resolve(CELL)], bench.store)
    assert standing.since(bench.resolve(CELL), bench.store) is None, "it stood there before"
    failure = fail(bench, CELL, key)
    assert standing.since(bench.resolve(CELL), bench.store) == Elsewhere(failure)


def test_a_failure_of_other_cells_or_a_torn_one_is_none(bench: Bench) -> None:
    standing = Standing.of([bench.resolve(CELL)], bench.store)
    fail(bench, CELL, "another key")
    assert standing.since(bench.resolve(CELL), bench.store) is None
    bench.locate_failure(CELL)[1].write_text("{torn")
    assert standing.since(bench.resolve(CELL), bench.store) is None


def test_a_file_that_is_no_record_is_made_anew(bench: Bench) -> None:
    standing = Standing.of([bench.resolve(CELL)], bench.store)
    path = bench.resolve(CELL).path
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert standing.since(bench.resolve(CELL), bench.store) is None


def test_cells_that_run_alone_have_a_lease_each(bench: Bench) -> None:
    other = replace(CELL, seed=1)
    leases = {lease_path(bench.resolve(cell)) for cell in (CELL, other)}
    assert len(leases) == 2
    assert all(path.name.startswith(".") for path in leases)


def test_work_of_an_ended_run_is_left_to_do_and_finished_work_is_not(bench: Bench) -> None:
    resolved = {CELL: bench.resolve(CELL)}
    standing = Standing.of(list(resolved.values()), bench.store)
    lease_path(resolved[CELL]).parent.mkdir(parents=True)
    assert list(freed([(CELL,)], resolved, bench.store, standing)) == [((CELL,), None)]
    failure = fail(bench, CELL, resolved[CELL].key)
    assert list(freed([(CELL,)], resolved, bench.store, standing)) == [((CELL,), [Elsewhere(failure)])]
    assert list(freed([], resolved, bench.store, standing)) == []
