"""Several runs on one folder of results: each does a part, and none does what another is at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from g2d_bench.cells.bench import Bench
from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.locks import Lease, owner_of, pauses
from g2d_bench.progress import tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure, Record

Unit = tuple[Cell, ...]
"""Cells that one process runs together."""

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Elsewhere:
    """What another run made of a cell while this one was at work."""

    outcome: Record | Failure


Outcome = Record | Failure | Elsewhere

SAY_AGAIN = 300.0
"""Seconds of waiting for another run after which a line says so again."""


@dataclass(frozen=True)
class Standing:
    """What stood in the folder of results when a run began.

    Attributes:
        stamps: of each cell's record and failure record; None where there was none.
    """

    stamps: dict[Cell, tuple[Stamp | None, Stamp | None]]

    @classmethod
    def of(cls, cells: Sequence[Cell], bench: Bench) -> Standing:
        """Look at the places of some cells, the data of which can be read."""
        return cls({cell: _stamps(bench.resolve(cell).path, bench) for cell in cells})

    def since(self, cell: Cell, bench: Bench) -> Elsewhere | None:
        """Return what another run made of a cell since this one began, None if nothing."""
        place = bench.resolve(cell)
        key, path = place.key, place.path
        before, now = self.stamps[cell], _stamps(path, bench)
        if now[0] != before[0]:
            try:
                record = bench.store.find(path, key)
            except InputError:
                record = None  # a file that is no record is made anew
            if record is not None:
                return Elsewhere(record)
        if now[1] is not None and now[1] != before[1]:
            try:
                failure = Failure.model_validate_json(read_regular(bench.store.failure_path(path)))
            except (OSError, ValidationError):
                return None
            return Elsewhere(failure) if failure.key == key else None
        return None


def _stamps(path: Path, bench: Bench) -> tuple[Stamp | None, Stamp | None]:
    return _stamp(path), _stamp(bench.store.failure_path(path))


def _stamp(path: Path) -> Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def lease_path(unit: Unit, bench: Bench) -> Path:
    """Return the file that stands for a unit's work.

    Cells that are run together share it with all others of their folder: another run may have more or fewer
    of them in one unit.
    """
    from g2d_bench.adapters.base import together

    first = bench.resolve(unit[0])
    path = first.path
    if together(first.task, first.protocol):
        return path.with_name(".cells.lease")
    return path.with_name(f".{path.stem}.lease")


def freed(
    busy: list[Unit], bench: Bench, standing: Standing
) -> Iterator[tuple[Unit, Sequence[Outcome] | None]]:
    """Wait until other runs are through with some of the units that they are at.

    Args:
        busy: the units.
        bench: opened settings.
        standing: what was there when this run began.

    Yields:
        Units that no other run holds any more, and what became of their cells; None where one of them is
        left to do, as its owner was ended. At least one unit is yielded.
    """
    said = -SAY_AGAIN
    for pause in pauses():
        some = False
        for unit in busy:
            lease = Lease.take(lease_path(unit, bench))
            if lease is None:
                continue
            with lease:
                found = [standing.since(cell, bench) for cell in unit]
            some = True
            done = [outcome for outcome in found if outcome is not None]
            yield unit, done if len(done) == len(unit) else None
        if some or not busy:
            return
        if time.monotonic() - said > SAY_AGAIN:
            said = time.monotonic()
            count = sum(map(len, busy))
            tell(
                f"waiting for {count} cell{'s' if count > 1 else ''} that "
                f"{owner_of(lease_path(busy[0], bench))} is at"
            )
        time.sleep(pause)
