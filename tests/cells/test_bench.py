"""What cells share, and how one is resolved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from g2d_bench.cells import bench as module
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.resolve import Resolved
from g2d_bench.cells.settings import Settings
from g2d_bench.data.splits import Split, write_id_list
from g2d_bench.data.task_data import divided
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record

CELL = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path) -> Bench:
    """Real data of forty films, and an empty folder of results."""
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


def test_a_cell_is_resolved_once(bench: Bench) -> None:
    found = bench.resolve(CELL)
    assert bench.resolve(CELL) is found
    assert (found.cell, found.task.name, found.protocol.name, found.card.name) == (
        CELL,
        "covid-cxr-seg",
        "clean",
        "random",
    )
    assert found.path.is_relative_to(bench.store.root)
    assert bench.key(CELL, found.manifest.content_hash) == found.key
    assert bench.key(CELL, "other data") != found.key
    assert not bench.store.root.exists(), "to resolve writes nothing"


def test_what_is_not_there_is_said_each_time(bench: Bench) -> None:
    absent = replace(CELL, task="siim-seg")
    for _ in range(2):
        with pytest.raises(InputError, match="siim"):
            bench.resolve(absent)
    key, path = bench.locate_failure(absent)
    assert key == ""
    assert path.is_relative_to(bench.store.root)
    assert bench.locate_failure(CELL)[0] == bench.resolve(CELL).key


def test_weights_that_cannot_be_read_are_said_before_data_are_opened(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "absent.safetensors"
    here = Bench(replace(bench.settings, checkpoints={"g2d": absent}), source=bench.source)
    opened: list[str] = []
    monkeypatch.setattr(bench.source, "of_task", lambda task, split: opened.append(task.name))
    with pytest.raises(InputError, match="absent"):
        here.resolve(replace(CELL, encoder="g2d"))
    assert opened == []


def test_forgetting_leaves_other_failures_and_no_empty_folders(bench: Bench) -> None:
    other = replace(CELL, seed=1)
    for cell in (CELL, other):
        _, path = bench.locate_failure(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    bench.forget(CELL)
    assert not bench.locate_failure(CELL)[1].exists()
    assert bench.locate_failure(other)[1].exists()
    bench.forget(other)
    bench.forget(other)
    assert not bench.store.root.exists()


def test_forced_runs_find_nothing_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = bench.resolve(CELL)
    there = stand_in(found)
    monkeypatch.setattr(bench.store, "find", lambda path, key: there if path == found.path else None)
    assert bench.finished(found) is there
    bench.options = Options(force=True)
    assert bench.finished(found) is None


def stand_in(cell: Resolved) -> Record:
    """A record as far as it is compared with a cell."""
    return cast(Record, SimpleNamespace(key=cell.key, data=SimpleNamespace(split_hash=cell.split_hash())))


def test_a_record_of_another_id_list_is_not_finished(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key moves with a list: who puts images into other parts must find nothing finished all the same."""
    card = (shipped("tasks") / "covid-cxr-seg.toml").read_text()
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine-seg.toml").write_text(card + 'ids = "ids.csv"\n')
    split = bench.resolve(CELL).data().split
    write_id_list(tmp_path / "tasks" / "ids.csv", split)
    cell, settings = replace(CELL, task="mine-seg"), replace(bench.settings, task_dirs=(tmp_path / "tasks",))
    before = Bench(settings).resolve(cell)
    record = stand_in(before)
    assert record.data.split_hash == split.hash
    write_id_list(tmp_path / "tasks" / "ids.csv", Split("clean", split.train, split.test, split.val))
    today = Bench(settings)
    now = today.resolve(cell)
    monkeypatch.setattr(today.store, "find", lambda path, key: record)
    assert (now.key, now.path) == (before.key, before.path)
    assert today.finished(now) is None
    assert before.recorded(today.store) is record


def test_cells_of_a_task_are_divided_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments[0].name)
        return divided(*arguments)

    monkeypatch.setattr(module, "divided", counted)
    resolved = [bench.resolve(replace(CELL, seed=seed)) for seed in range(3)]
    assert calls == [], "nobody asked"
    assert len({cell.split_hash() for cell in resolved}) == 1
    assert calls == [CELL.task]
