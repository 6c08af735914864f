"""How long cells may be expected to take, from the records of cells like them."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, median

from g2d_bench.records.cell import Cell
from g2d_bench.records.record import CellPart, Record

Key = tuple[str | float, ...]


class Forecast:
    """Median seconds of cells alike: of the same encoder if that was timed, else of all encoders.

    Task, protocol and fraction must be the same, for each of them changes the work many times over.

    Args:
        records: what has been timed.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._timed: dict[Key, list[float]] = {}
        for record in records:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Note how long a cell took."""
        for key in _keys(record.cell):
            self._timed.setdefault(key, []).append(sum(record.seconds.values()))

    def seconds(self, cell: Cell) -> float | None:
        """Return the seconds of one process to expect, or None where nothing like the cell was timed."""
        return next((median(self._timed[key]) for key in _keys(cell) if key in self._timed), None)

    def left(self, todo: Iterable[Cell], done: Iterable[Cell], elapsed: float) -> float | None:
        """Return the seconds until the end of a run, at the speed that it has had until now.

        What was never timed is taken to last as the mean cell that is done.

        Args:
            todo: cells that are not finished.
            done: cells that this run finished and :meth:`learn` knows.
            elapsed: seconds that they took together, however many processes were at work.

        Returns:
            None where nothing is done, or nothing that took time.
        """
        spent = [seconds for cell in done if (seconds := self.seconds(cell)) is not None]
        if not sum(spent):
            return None
        expected = [self.seconds(cell) for cell in todo]
        work = sum(fmean(spent) if seconds is None else seconds for seconds in expected)
        return elapsed * work / sum(spent)


def _keys(cell: Cell | CellPart) -> tuple[Key, Key]:
    """From the closest likeness to the loosest."""
    alike: Key = (cell.task, cell.protocol, cell.fraction)
    return (*alike, cell.encoder), alike
