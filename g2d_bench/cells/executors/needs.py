"""How much memory and time a unit takes, from the records of cells like its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median

from g2d_bench.cells.executors.local import PROCESS
from g2d_bench.cells.sharing import Unit
from g2d_bench.files import read_regular
from g2d_bench.records.cell import Cell
from g2d_bench.records.store import FAILED

MARGIN = 1.25
"""More than was ever needed, since the highest point differs from run to run."""


class Needs:
    """Memory and time of cells that were run before.

    Args:
        records: files of records; what cannot be read says nothing.
        budget: bytes of maps that a process may keep: what is expected where nothing alike was measured.
    """

    def __init__(self, records: Iterable[Path], budget: int) -> None:
        self._unknown = PROCESS + budget
        self._peaks: dict[tuple[str, str], int] = {}
        self._spent: dict[tuple[object, ...], list[float]] = {}
        for path in records:
            if path.name.endswith(FAILED):
                continue
            with suppress(OSError, ValueError, KeyError, TypeError):
                # Thousands of them: a number to plan by is no reason to check each whole.
                raw = json.loads(read_regular(path))
                cell = Cell(**raw["cell"])
                key, peak = (cell.task, cell.encoder), int(raw["peak_memory_mb"]) << 20
                self._peaks[key] = max(self._peaks.get(key, 0), peak)
                self._spent.setdefault(_alike(cell), []).append(sum(raw["seconds"].values()))

    def longest_first(self, units: Sequence[Unit]) -> list[Unit]:
        """Order units so that what is at work last is short; what was never timed counts as the mean.

        Workers that are many wait for those which began a long unit at the end. Where nothing was timed the
        order stays.
        """
        known = {
            cell: median(self._spent[_alike(cell)])
            for unit in units
            for cell in unit
            if _alike(cell) in self._spent
        }
        mean = fmean(known.values()) if known else 0.0
        return sorted(units, key=lambda unit: -sum(known.get(cell, mean) for cell in unit))

    def memory(self, unit: Unit) -> int:
        """Return the bytes to set aside for a unit."""
        peak = self._peaks.get((unit[0].task, unit[0].encoder))
        return self._unknown if peak is None else round(MARGIN * peak)


def _alike(cell: Cell) -> tuple[object, ...]:
    return (cell.task, cell.encoder, cell.protocol, *cell.drawn)
