"""Units: in which order they go, and what happens where one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cells import units as module
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Standing, lease_path
from g2d_bench.cells.units import claimed, name_of, units
from g2d_bench.locks import Lease
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path) -> Bench:
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


CELLS = tuple(Cell("covid-cxr-seg", 0.1, "clean", seed, "random") for seed in range(2))


def test_kinds_that_leave_most_behind_go_first(bench: Bench) -> None:
    tasks = ("rsna-seg", "rsna-cls", "rsna-zeroshot", "siim-seg", "siim-ground", "rsna-ground")
    cells = [Cell(task, 1.0, "clean", seed, "g2d") for task in tasks for seed in (0, 1)]
    # A fine-tuned encoder leaves nothing behind for others: it stays where it was.
    cells.append(Cell("cxr14-cls", 1.0, "clean-finetune", 0, "g2d"))
    work = units(cells, bench)
    assert [unit[0].task for unit in work] == [
        *("siim-ground", "siim-ground", "rsna-ground", "rsna-ground", "rsna-zeroshot", "rsna-zeroshot"),
        *("rsna-cls", "rsna-seg", "rsna-seg", "siim-seg", "siim-seg", "cxr14-cls"),
    ]
    assert [cell.seed for unit in work[:-1] for cell in unit] == [0, 1] * len(tasks)


def test_a_name_says_as_much_as_all_cells_of_a_unit_share() -> None:
    assert name_of(CELLS[:1]) == "covid-cxr-seg · random · 10 % · seed 0"
    assert name_of(CELLS) == "covid-cxr-seg · random"


def test_what_another_run_is_at_is_left_alone(bench: Bench) -> None:
    standing = Standing.of([bench.resolve(cell) for cell in CELLS], bench.store)
    lease = Lease.take(lease_path(bench.resolve(CELLS[0])))
    assert lease is not None
    with lease:
        assert claimed(CELLS[:1], bench, standing) is None


def test_cells_that_fail_together_are_tried_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def together(*_: object) -> None:
        raise ValueError("too many")

    def alone(resolved: object, *_: object) -> None:
        raise ValueError("too odd")

    monkeypatch.setattr(module, "run_cells", together)
    monkeypatch.setattr(module, "run_cell", alone)
    done = claimed(CELLS, bench, Standing.of([bench.resolve(cell) for cell in CELLS], bench.store))
    assert done is not None
    assert [outcome.error for outcome in done if isinstance(outcome, Failure)] == ["ValueError: too odd"] * 2
    assert "2 cells together: ValueError: too many; tried one by one" in capsys.readouterr().err
