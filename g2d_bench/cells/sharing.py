"""Several runs on one folder of results: each does a part, and none does what another is at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from g2d_bench.cards.kind import KINDS
from g2d_bench.cells.resolve import Resolved
from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.locks import Lease, owner_of, pauses
from g2d_bench.plain import counted
from g2d_bench.progress import tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure, Record
from g2d_bench.records.store import Store

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
    def of(cls, cells: Sequence[Resolved], store: Store) -> Standing:
        """Look at the places of some cells."""
        return cls({cell.cell: _stamps(cell.path, store) for cell in cells})

    def since(self, cell: Resolved, store: Store) -> Elsewhere | None:
        """Return what another run made of a cell since this one began, None if nothing."""
        before, now = self.stamps[cell.cell], _stamps(cell.path, store)
        if now[0] != before[0]:
            try:
                record = cell.recorded(store)
            except InputError:
                record = None  # a file that is no record is made anew
            if record is not None:
                return Elsewhere(record)
        if now[1] is not None and now[1] != before[1]:
            try:
                failure = Failure.model_validate_json(read_regular(store.failure_path(cell.path)))
            except (OSError, ValidationError):
                return None
            return Elsewhere(failure) if failure.key == cell.key else None
        return None


def _stamps(path: Path, store: Store) -> tuple[Stamp | None, Stamp | None]:
    return _stamp(path), _stamp(store.failure_path(path))


def _stamp(path: Path) -> Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def lease_path(first: Resolved) -> Path:
    """Return the file that stands for the work of the unit that begins with a cell.

    Cells that are run together share it with all others of their folder: another run may have more or fewer
    of them in one unit.
    """
    if KINDS[first.task.kind].together(first.task, first.protocol):
        return first.path.with_name(".cells.lease")
    return first.path.with_name(f".{first.path.stem}.lease")


def freed(
    busy: list[Unit], resolved: Mapping[Cell, Resolved], store: Store, standing: Standing
) -> Iterator[tuple[Unit, Sequence[Outcome] | None]]:
    """Wait until other runs are through with some of the units that they are at.

    Args:
        busy: the units.
        resolved: their cells.
        store: where records go.
        standing: what was there when this run began.

    Yields:
        Units that no other run holds any more, and what became of their cells; None where one of them is
        left to do, as its owner was ended. At least one unit is yielded.
    """
    said, leases = -SAY_AGAIN, {unit: lease_path(resolved[unit[0]]) for unit in busy}
    for pause in pauses():
        some = False
        for unit in busy:
            lease = Lease.take(leases[unit])
            if lease is None:
                continue
            with lease:
                found = [standing.since(resolved[cell], store) for cell in unit]
            some = True
            done = [outcome for outcome in found if outcome is not None]
            yield unit, done if len(done) == len(unit) else None
        if some or not busy:
            return
        if time.monotonic() - said > SAY_AGAIN:
            said = time.monotonic()
            count = sum(map(len, busy))
            tell(f"waiting for {counted(count, 'cell')} that {owner_of(leases[busy[0]])} is at")
        time.sleep(pause)
