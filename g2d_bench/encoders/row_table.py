"""Tables on disk that grow by the rows that somebody asks for."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]


class RowTable:
    """One float32 row per image, with marks of those that were computed; several processes may share it.

    Used as a context it holds the table's lock. Rows that are marked never change, so they may be read
    without it. Rows that nobody wrote take no room on disk. A file that was cut off is made anew.

    Args:
        folder: where the table lies; made if need be.
        key: its name there; whatever moves its numbers must be in it.
        count: number of images.
        shape: of one row.
    """

    def __init__(self, folder: Path, key: str, count: int, shape: tuple[int, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._values, self._marks = folder / f"{key}.npy", folder / f"{key}.done.npy"
        self._lock = FileLock(str(folder / f"{key}.lock"))
        self._shape = (count, *shape)

    def __enter__(self) -> RowTable:
        self._lock.acquire()
        try:
            self._table, made = _open(self._values, self._shape, np.float32)
            self._done, _ = _open(self._marks, self._shape[:1], np.bool_)
            if made:
                self._done[:] = False
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def missing(self, wanted: Rows) -> Rows:
        """Return the rows among ``wanted`` that nobody has computed, sorted."""
        return np.setdiff1d(wanted, np.flatnonzero(self._done))

    def write(self, rows: Rows, values: Tensor) -> None:
        """Put values [len(rows), *shape] in their places; they count once they are sealed."""
        self._table[rows] = values.float().cpu().numpy()

    def seal(self, rows: Rows) -> None:
        """Mark rows as computed.

        The mark goes to disk after what it vouches for, so that a crash costs time, not truth.
        """
        self._table.flush()
        self._done[rows] = True
        self._done.flush()

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Return a copy of rows that are there, [len(rows), *shape]."""
        return np.array(self._table[rows], dtype=np.float32)


def _open(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> tuple[np.memmap[Any, Any], bool]:
    """Open a stored table, or make one of zeros (which take no room on disk until they are written).

    Returns:
        The table, and whether it was made.
    """
    open_memmap: Any = np.lib.format.open_memmap
    if path.is_file():
        try:
            table = open_memmap(path, mode="r+")
            if table.shape == shape and table.dtype == dtype:
                return table, False
        except ValueError:
            pass  # cut off when it was made; made anew below
    return open_memmap(path, mode="w+", dtype=dtype, shape=shape), True
