"""What is to be expected of a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.outlook import outlook, require_runnable
from g2d_bench.cells.settings import Settings
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast

CELL = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")


def test_a_cell_without_records_is_to_be_run_and_was_never_timed(tiny_root: Path, tmp_path: Path) -> None:
    bench = Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))
    [expected], in_the_way = outlook([CELL], bench)
    assert (expected.cell, expected.data, expected.there, expected.finished) == (
        CELL,
        "covid-cxr",
        True,
        False,
    )
    assert expected.seconds is None
    assert not expected.scaled
    assert in_the_way == []


def test_data_that_cannot_be_read_cost_their_own_cells(tiny_root: Path, tmp_path: Path) -> None:
    (tmp_path / "covidx").mkdir()
    (tmp_path / "covid-cxr").symlink_to(tiny_root / "covid-cxr")
    bench = Bench(Settings(data_root=tmp_path, results=tmp_path / "runs"))
    plan, _ = outlook([replace(CELL, task="covidx-cls"), CELL], bench)
    assert [bool(one.wrong) for one in plan] == [True, False]
    assert not plan[0].finished
    require_runnable(plan[1:])
    with pytest.raises(InputError, match=r"1 of 2 cells cannot be run: .*COVIDx9A"):
        require_runnable(plan)


def test_nothing_is_generated_for_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    [expected], _ = outlook([CELL], Bench(Settings(results=tmp_path / "runs")))
    assert not expected.there
    assert not expected.finished
    assert not (tmp_path / "cache" / "phantom").exists()


def test_seconds_are_those_of_cells_alike(
    folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    known = folder.add("g2d").record
    bench = Bench(Settings(results=folder.root))
    cells = [known.cell, replace(known.cell, encoder="random"), replace(known.cell, task="rsna-seg")]
    mine, scaled, unknown = outlook(cells, bench)[0]
    assert mine.seconds == sum(known.seconds.values())
    assert (mine.scaled, scaled.scaled) == (False, True)
    assert scaled.seconds is not None
    assert unknown.seconds is None
    given = outlook(cells, bench, Forecast())[0]
    assert [one.seconds for one in given] == [None] * 3
