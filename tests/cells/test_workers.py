"""Many cells: what becomes of them, wherever they are run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors.base import Work
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done
from g2d_bench.cells.workers import execute
from g2d_bench.records.cell import Cell

CELLS = [Cell("covid-cxr-seg", 1.0, "clean", seed, "random") for seed in range(4)]


class Backwards:
    """Runs nothing, last things first, and finds the first unit taken by another run the first time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        self.asked.append(len(units))
        for unit in reversed(units):
            taken = unit[0].seed == 0 and len(self.asked) == 1
            yield unit, None if taken else work.failed(unit, RuntimeError(f"seed {unit[0].seed}"))


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path) -> Bench:
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


def test_outcomes_stand_in_the_order_of_the_plan_whoever_runs_the_cells(bench: Bench) -> None:
    executor = Backwards()
    report = execute(CELLS, bench, executor=executor)
    assert [failure.cell for failure in report.failures] == CELLS
    assert [failure.error for failure in report.failures] == [f"RuntimeError: seed {n}" for n in range(4)]
    # What another run left undone is asked for again, and nothing else.
    assert executor.asked == [4, 1]
