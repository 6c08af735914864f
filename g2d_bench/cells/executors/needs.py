"""How much memory a unit takes, from the records of cells like its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from g2d_bench.cells.executors.local import PROCESS
from g2d_bench.cells.sharing import Unit
from g2d_bench.files import read_regular
from g2d_bench.records.store import FAILED

MARGIN = 1.25
"""More than was ever needed, since the highest point differs from run to run."""


class Memory:
    """Peaks of processes that ran a task with an encoder.

    Args:
        records: files of records; what cannot be read says nothing.
        budget: bytes of maps that a process may keep: what is expected where nothing alike was measured.
    """

    def __init__(self, records: Iterable[Path], budget: int) -> None:
        self._unknown = PROCESS + budget
        self._peaks: dict[tuple[str, str], int] = {}
        for path in records:
            if path.name.endswith(FAILED):
                continue
            with suppress(OSError, ValueError, KeyError, TypeError):
                # Thousands of them: a number to plan by is no reason to check each whole.
                raw = json.loads(read_regular(path))
                key = (str(raw["cell"]["task"]), str(raw["cell"]["encoder"]))
                self._peaks[key] = max(self._peaks.get(key, 0), int(raw["peak_memory_mb"]) << 20)

    def of(self, unit: Unit) -> int:
        """Return the bytes to set aside for a unit."""
        peak = self._peaks.get((unit[0].task, unit[0].encoder))
        return self._unknown if peak is None else round(MARGIN * peak)
