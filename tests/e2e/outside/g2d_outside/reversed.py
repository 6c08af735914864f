"""An executor: one unit after another, the last one first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from g2d_bench.cells.executors.base import Wishes, Work
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done


class Reversed:
    """Runs units in this process."""

    def __init__(self, wishes: Wishes) -> None:
        self._jobs = wishes.jobs or 1

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run them."""
        print(f"{self._jobs} at a time, from the end")
        for unit in reversed(units):
            yield unit, work.do(unit)


EXECUTOR = Reversed
