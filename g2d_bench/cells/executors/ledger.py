"""Jobs that outlive the run which sent them: which ones are out, for the run that takes their results.

The list lies in the user's cache and not beside the results. What a job sends back is a pickle, and reading
one runs code; so only jobs that this user sent are taken up, whatever a folder of results may hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.sharing import Unit
from g2d_bench.errors import InputError
from g2d_bench.files import cannot_write, read_regular
from g2d_bench.hashing import digest_json, digest_text
from g2d_bench.paths import cache_dir

LONGEST = 16 << 20
"""Bytes that a list may have; about 100,000 jobs."""


class Ledger:
    """The jobs that are out for one folder of results, in a file to which lines are added.

    Args:
        system: by whom jobs are run.
        folder: of the jobs.
        bench: resolves cells; a job of other cards, data or weights is none of this run's.
    """

    def __init__(self, system: str, folder: Path, bench: Bench) -> None:
        self._path = cache_dir() / "jobs" / f"{system}-{digest_text(str(folder))[:32]}.jsonl"
        self._bench = bench
        self._out = dict(self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Read which job works at what; lines that are torn say nothing."""
        out: dict[str, str] = {}
        with suppress(InputError, OSError, UnicodeDecodeError):
            for line in read_regular(self._path, LONGEST).decode().splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    read = json.loads(line)
                    job, unit = str(read["job"]), read["unit"]
                    if unit is None:
                        out.pop(job, None)
                    else:
                        out[job] = str(unit)
        yield from out.items()

    def _fingerprint(self, unit: Unit) -> str:
        keys = [self._bench.resolve(cell).key for cell in unit]
        return digest_json([*keys, *map(str, unit), repr(self._bench.options)])

    def sent(self, job: str, unit: Unit) -> None:
        """Note that a job works at a unit.

        Raises:
            CannotWrite: the cache cannot be written.
        """
        self._add(job, self._fingerprint(unit))

    def through(self, job: str) -> None:
        """Note that nothing more is expected of a job; the list goes with its last one.

        Raises:
            CannotWrite: the cache cannot be written.
        """
        if job in self._out:
            self._add(job, None)
        if not self._out and not dict(self._lines()):
            self._path.unlink(missing_ok=True)

    def earlier(self, unit: Unit) -> list[str]:
        """Return the jobs that work, or worked, at this very unit, the last one first."""
        wanted = self._fingerprint(unit) if self._out else ""
        return [job for job, fingerprint in reversed(self._out.items()) if fingerprint == wanted]

    def _add(self, job: str, fingerprint: str | None) -> None:
        line = json.dumps({"job": job, "unit": fingerprint}) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # In one piece at the end: two runs on one folder of results may add at the same time.
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(error, self._path) from None
        if fingerprint is None:
            self._out.pop(job, None)
        else:
            self._out[job] = fingerprint
