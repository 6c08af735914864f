"""How long cells may be expected to take, from the records of cells like them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import fmean, median

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.errors import InputError
from g2d_bench.records.cell import DECODER, Cell
from g2d_bench.records.record import Record

Key = tuple[str | float, ...]
Cost = Callable[[str], float | None]
"""Name of an encoder (``+decoder`` included) to the work that one image is for it; None where not known."""
WITH_SIZE = ("encoder", "train and predict")
"""Phases of a cell that take longer with a larger encoder."""
IDLE = "n/a"
"""Note of a record whose encoder has no numbers in the task: its time says nothing of others."""


def costs(catalogue: Catalogue) -> Cost:
    """Weigh encoders by the multiplications of one image, as their cards say."""
    from g2d_bench.cards.cost import gigamacs

    known: dict[str, float | None] = {}

    def cost(encoder: str) -> float | None:
        if encoder not in known:
            try:
                known[encoder] = gigamacs(catalogue.encoders[encoder.removesuffix(DECODER)])
            except InputError:
                # Of records whose card is not here.
                known[encoder] = None
        return known[encoder]

    return cost


class Forecast:
    """Median seconds of cells alike: of the same encoder if that was timed, else of all encoders.

    Task, protocol and fraction must be the same, for each of them changes the work many times over. Seconds
    of another encoder are scaled by the work that an image is for each of the two: an order of magnitude.

    Args:
        records: what has been timed.
        cost: of encoders; without it all are taken for equally large.
    """

    def __init__(self, records: Iterable[Record] = (), cost: Cost = lambda _: None) -> None:
        self._same: dict[Key, list[float]] = {}
        self._alike: dict[Key, list[tuple[str, float, float]]] = {}
        self._cost = cost
        for record in records:
            self.learn(record)

    def size(self, cell: Cell) -> float | None:
        """Return the work that an image is for a cell's encoder, None where that is not known."""
        return self._cost(cell.encoder)

    def learn(self, record: Record) -> None:
        """Note how long a cell took."""
        alike, encoder = _key(record.cell), record.cell.encoder
        whole = sum(record.seconds.values())
        grows = sum(record.seconds.get(phase, 0.0) for phase in WITH_SIZE)
        self._same.setdefault((*alike, encoder), []).append(whole)
        if IDLE in record.notes:
            return
        self._alike.setdefault(alike, []).append((encoder, whole - grows, grows))

    def seconds(self, cell: Cell) -> float | None:
        """Return the seconds of one process to expect, or None where nothing like the cell was timed."""
        if self.timed(cell):
            return median(self._same[*_key(cell), cell.encoder])
        others = self._alike.get(_key(cell))
        if not others:
            return None
        return median(fixed + grows * self._ratio(cell.encoder, name) for name, fixed, grows in others)

    def timed(self, cell: Cell) -> bool:
        """Say whether this very encoder was timed; else :meth:`seconds` is an order of magnitude."""
        return (*_key(cell), cell.encoder) in self._same

    def left(self, todo: Iterable[Cell], done: Iterable[Cell], elapsed: float) -> float | None:
        """Return the seconds until the end of a run, at the speed that it has had until now.

        What was never timed is taken to last as the mean cell that is done, scaled by the encoders' work.

        Args:
            todo: cells that are not finished.
            done: cells that this run finished and :meth:`learn` knows.
            elapsed: seconds that they took together, however many processes were at work.

        Returns:
            None where nothing is done, or nothing that took time.
        """
        spent = [(cell, seconds) for cell in done if (seconds := self.seconds(cell)) is not None]
        total = sum(seconds for _, seconds in spent)
        if not total:
            return None
        work = 0.0
        for cell in todo:
            expected = self.seconds(cell)
            if expected is None:
                expected = fmean(s * self._ratio(cell.encoder, one.encoder) for one, s in spent)
            work += expected
        return elapsed * work / total

    def _ratio(self, encoder: str, other: str) -> float:
        """Return how many times the work of ``other`` an encoder has; 1 where one is not known."""
        mine, theirs = self._cost(encoder), self._cost(other)
        return mine / theirs if mine and theirs else 1.0


def _key(cell: Cell) -> Key:
    """What must be the same of two cells."""
    return (cell.task, cell.protocol, *cell.drawn)
