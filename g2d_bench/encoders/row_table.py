"""Tables on disk that grow by the rows that somebody asks for."""

from __future__ import annotations

import io
import os
import zlib
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.errors import InputError
from g2d_bench.files import cannot_write, draft, write_at
from g2d_bench.kept import npy_header, read_kept, say_damaged, write_kept
from g2d_bench.locks import alone

Rows = NDArray[np.int64]

THERE = 1 << 32
"""Set in the mark of a row that was computed, above its CRC-32."""
CHUNK = 4 << 20
"""Bytes of rows that are held against their checksums at a time."""


class RowTable:
    """One float32 row per image, with its checksum once it is computed; several processes may share it.

    Used as a context it holds the table's lock. Rows that are marked never change, so they may be read
    without it. Rows that nobody wrote take no room on disk. Every row is held against its checksum before it
    is given out; those that differ are missing, and one line says so. A complete table may be read-only.

    Args:
        folder: where the table lies; made when a row is written.
        key: its name there; whatever moves its numbers must be in it.
        count: number of images.
        shape: of one row.
    """

    def __init__(self, folder: Path, key: str, count: int, shape: tuple[int, ...]) -> None:
        self._values, self._marks = folder / f"{key}.npy", folder / f"{key}.done.npy"
        self._lock = folder / f".{key}.lease"
        self._shape = (count, *shape)
        self._header = npy_header(self._shape, "<f4")
        self._width = 4 * int(np.prod(shape))
        self._table: NDArray[np.float32] | None = None
        # Per row THERE + CRC-32, 0 where it is missing.
        self._checks: NDArray[np.uint64] = np.zeros(count, np.uint64)
        # Rows that this object has held against their checksums or written itself.
        self._held = np.zeros(count, np.bool_)
        self._stack = ExitStack()

    def __enter__(self) -> RowTable:
        with ExitStack() as stack:
            stack.enter_context(alone(self._lock, f"features in {self._values.name}"))
            self._table, self._checks = self._open()
            self._held[:] = False
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def missing(self, wanted: Rows) -> Rows:
        """Return the rows among ``wanted`` that nobody has computed or that were damaged since, sorted."""
        rows: Rows = np.unique(wanted)
        there = rows[self._checks[rows] != 0]
        step, said = max(1, CHUNK // max(1, self._width)), False
        for start in range(0, len(there), step):
            part = there[start : start + step]
            damaged = part[self._checks_of(self._copied(part)) != self._checks[part]]
            if damaged.size and not said:
                said = True
                say_damaged(self._values, f"{'row' if damaged.size == 1 else 'rows'} of it: ")
            self._checks[damaged] = 0
            self._held[part] = self._checks[part] != 0
        left: Rows = rows[self._checks[rows] == 0]
        return left

    def write(self, rows: Rows, values: Tensor) -> None:
        """Put values [len(rows), *shape] in their places; they count once they are sealed.

        Raises:
            InputError: the values have another shape, or there is no room or no permission.
        """
        wanted = (len(rows), *self._shape[1:])
        if tuple(values.shape) != wanted:
            raise InputError(
                f"rows of shape {list(values.shape)} do not fit, they must be {list(wanted)}",
                file=self._values,
            )
        content = np.ascontiguousarray(values.float().cpu().numpy(), np.float32)
        if self._table is None:
            self._table = self._make()
        try:
            handle = os.open(self._values, os.O_WRONLY)
            try:
                for start, stop in _runs(rows):
                    write_at(handle, content[start:stop].data, len(self._header) + rows[start] * self._width)
                # The mark goes to disk after what it vouches for: a crash costs time, not truth.
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(error, self._values) from error
        self._checks[rows], self._held[rows] = self._checks_of(content), True

    def seal(self, rows: Rows) -> None:
        """Mark rows that were written as computed.

        Raises:
            InputError: no room or no permission, or one of them was not written.
        """
        assert self._held[rows].all()
        stream = io.BytesIO()
        np.save(stream, self._checks)
        write_kept(self._marks, stream.getvalue())

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Return a copy of rows that are there, [len(rows), *shape].

        Raises:
            InputError: a row is damaged, which :meth:`missing` had not seen.
        """
        found = self._copied(rows)
        fresh = ~self._held[rows]
        if (self._checks_of(found[fresh]) != self._checks[rows[fresh]]).any():
            raise InputError("was damaged while it was read; run again", file=self._values)
        return found

    def _copied(self, rows: Rows) -> NDArray[np.float32]:
        if self._table is None:
            assert not len(rows)
            return np.empty((0, *self._shape[1:]), np.float32)
        found: NDArray[np.float32] = np.asarray(self._table)[rows]
        return found

    def _checks_of(self, content: NDArray[np.float32]) -> NDArray[np.uint64]:
        return np.fromiter((THERE + zlib.crc32(one.data) for one in content), np.uint64, len(content))

    def _open(self) -> tuple[NDArray[np.float32] | None, NDArray[np.uint64]]:
        """Return the stored table, None where there is none that can be used, and its marks."""
        nothing = np.zeros(self._shape[0], np.uint64)
        if not self._values.is_file():
            if self._values.exists():  # a pipe or a folder
                say_damaged(self._values)
            return None, nothing
        marks = read_kept(self._marks)
        with self._values.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            whole = len(self._header) + self._width * self._shape[0]
            if size != whole or stream.read(len(self._header)) != self._header:
                say_damaged(self._values)
                return None, nothing
            table = np.memmap(stream, np.float32, "r", len(self._header), self._shape)
        if marks is None:
            return table, nothing
        checks: NDArray[np.uint64] = np.load(io.BytesIO(marks), allow_pickle=False)
        return table, checks if checks.shape == nothing.shape else nothing

    def _make(self) -> NDArray[np.float32]:
        """Make a table without rows, which takes no room on disk."""
        with draft(self._values) as handle:
            write_at(handle, self._header, 0)
            os.ftruncate(handle, len(self._header) + self._width * self._shape[0])
        with self._values.open("rb") as stream:
            return np.memmap(stream, np.float32, "r", len(self._header), self._shape)


def _runs(rows: Rows) -> list[tuple[int, int]]:
    """Cut rows into runs of consecutive ones: places of the first of each and behind its last."""
    ends = np.flatnonzero(np.diff(rows) != 1) + 1
    bounds = [0, *ends.tolist(), len(rows)]
    return [(start, stop) for start, stop in pairwise(bounds) if start < stop]
