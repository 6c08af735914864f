"""The folder that keeps records and predictions."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.files import sweep, write_atomically
from g2d_bench.progress import tell_once
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import (
    Failure,
    Predictions,
    Record,
    digest_bytes,
    read_failure,
    read_record,
    sealed,
    to_json,
)

FAILED = ".failed.json"
DAMAGED = ".damaged"
"""Added to the name of a file that stood at a record's place and was none."""
DEPTH = 5
"""Parts of a record's path below the root."""


def is_place(path: Path) -> bool:
    """Say whether a file lies in the folders of a task (``<task>@<version>``) and a protocol."""
    return "@" in path.absolute().parts[-3]


class Store:
    """Records in a folder: ``<kind>/<encoder>/<task>@<version>/<protocol>/<fraction>-s<seed>-<key>.json``,
    and ``<fraction>-s<seed>.failed.json`` where the cell failed; with shots, ``<count>shots`` is written
    in the place of the fraction.

    Args:
        root: the folder; it is made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def require_writable(self) -> None:
        """Find out, without making anything, whether records can be written at the end of long work.

        Raises:
            InputError: they cannot.
        """
        place = next(
            folder for folder in (self.root.absolute(), *self.root.absolute().parents) if folder.exists()
        )
        if not place.is_dir():
            raise InputError("is not a folder", file=place, field="results")
        if self.root.is_symlink() and not self.root.exists():
            raise InputError("is a link to nothing", file=self.root, field="results")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError("cannot be written to (permissions)", file=place, field="results")

    def sweep(self) -> None:
        """Remove what killed runs left unfinished in the folders of records."""
        for folder in self.root.glob("*/*/*@*/*"):
            sweep(folder)

    def path(self, cell: Cell, *, kind: str, version: str, key: str) -> Path:
        """Return where the record of a cell belongs."""
        folder = self.root / kind / cell.encoder / f"{cell.task}@{version}" / cell.protocol
        return folder / f"{cell.stem}-{key[:8]}.json"

    def find(self, path: Path, key: str) -> Record | None:
        """Return the finished record at ``path`` if its key is the wanted one.

        A file that is no record is said to be none: the cell has to be measured again.
        """
        if not path.is_file():
            return None
        try:
            record = read_record(path)
        except InputError as error:
            tell_once(f"{error}; measured again, and this file is kept as {path.name}{DAMAGED}")
            return None
        return record if record.key == key else None

    def save(self, path: Path, record: Record, predictions: dict[str, NDArray[Any]]) -> Record:
        """Write predictions, then the record, each atomically.

        Returns:
            The record with the predictions' name and hash, where there are any, and its seal.

        Raises:
            InputError: the folder cannot be written to.
        """
        complete = record
        if predictions:
            arrays = path.with_suffix(".npz")
            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **predictions)
            write_atomically(arrays, buffer.getvalue())
            complete = record.model_copy(
                update={"predictions": Predictions(file=arrays.name, sha256=digest_bytes(buffer.getvalue()))}
            )
        complete = sealed(complete)
        self._put_aside(path)
        write_atomically(path, to_json(complete))
        self.failure_path(path).unlink(missing_ok=True)
        return complete

    def amend(self, path: Path, record: Record) -> Record:
        """Replace a record by one that says the same numbers in other words; its predictions stay.

        Returns:
            The record with its seal.

        Raises:
            InputError: the folder cannot be written to.
        """
        complete = sealed(record)
        write_atomically(path, to_json(complete))
        return complete

    def take(self, path: Path, record: bytes, predictions: bytes | None) -> None:
        """Write a record that another store has saved, as it is, predictions first.

        Args:
            path: where the record belongs; its predictions are named as it is.
            record: content of its file.
            predictions: content of the file beside it.

        Raises:
            InputError: the folder cannot be written to.
        """
        if predictions is not None:
            write_atomically(path.with_suffix(".npz"), predictions)
        self._put_aside(path)
        write_atomically(path, record)
        self.failure_path(path).unlink(missing_ok=True)

    @staticmethod
    def _put_aside(path: Path) -> None:
        """Keep what stands at a record's place and is no record: it may be one of a newer version."""
        if path.is_file():
            try:
                read_record(path)
            except InputError:
                with contextlib.suppress(OSError):
                    path.replace(path.with_name(path.name + DAMAGED))

    def fail(self, path: Path, failure: Failure) -> None:
        """Write a failure record; see :meth:`failure_path`."""
        write_atomically(path, to_json(failure))

    @staticmethod
    def failure_path(path: Path) -> Path:
        """Return where a cell's failure belongs, given where its record does.

        The key is no part of it: a cell has one failure, its last, and that goes when the cell succeeds.
        """
        return path.with_name(path.stem.rpartition("-")[0] + FAILED)

    def __iter__(self) -> Iterator[tuple[Path, Record]]:
        """Read all finished records, in the order of their paths.

        Raises:
            InputError: a file is no record or has another schema version.
        """
        for path in self.files():
            if not path.name.endswith(FAILED):
                yield path, read_record(path)

    def failures(self) -> list[Failure]:
        """Read what failed cells left, in the order of their paths; what cannot be read is passed over."""
        read = (read_failure(path) for path in self.files() if path.name.endswith(FAILED))
        return [failure for failure in read if failure is not None]

    def files(self) -> list[Path]:
        """Return what stands where records do, failures included, by path; it need not be a record.

        That is at their places below the root, be it the whole folder or a part of it such as one encoder's,
        or directly in it. What else lies there is not ours to read: folders of pre-training, other results.
        """
        depths = ("*/" * depth + "*.json" for depth in range(DEPTH))
        found = (path for pattern in depths for path in self.root.glob(pattern))
        return sorted(path for path in found if path.parent == self.root or is_place(path))

    def nothing(self) -> InputError:
        """Return what to tell who expected records here, with the folders below that hold some."""
        deeper = (
            path for path in self.root.rglob("*.json") if len(path.relative_to(self.root).parts) > DEPTH
        )
        others = sorted({str(path.parents[DEPTH - 1]) for path in deeper if is_place(path)})
        hint = f"; there are some in {', '.join(others)}" if others else "; `g2d-bench run` makes them"
        return InputError("no records here" + hint, file=self.root)
