"""What cells share, and how one is resolved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.settings import Settings
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell

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
    monkeypatch.setattr(bench.store, "find", lambda path, key: f"{path} {key}")
    found = bench.resolve(CELL)
    assert str(bench.finished(found)) == f"{found.path} {found.key}"
    bench.options = Options(force=True)
    assert bench.finished(found) is None
