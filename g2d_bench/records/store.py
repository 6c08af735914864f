"""The folder that keeps records and predictions, and how they are read from it."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.records.archives import PACKED
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import (
    LEFT_OUT,
    NOT_APPLICABLE,
    SCHEMA,
    SPLIT_DEFECTS,
    CellPart,
    DataPart,
    EncoderPart,
    Failure,
    Predictions,
    Record,
    changes,
    key_of,
    read_predictions,
    read_record,
    sealed,
    to_json,
    write_atomically,
)
from g2d_bench.safe_files import read_regular

__all__ = [
    "FAILED",
    "LEFT_OUT",
    "NOT_APPLICABLE",
    "SCHEMA",
    "SPLIT_DEFECTS",
    "CellPart",
    "DataPart",
    "EncoderPart",
    "Failure",
    "Predictions",
    "Record",
    "Store",
    "changes",
    "digest_bytes",
    "key_of",
    "prediction_bytes",
    "read_predictions",
    "read_record",
    "sealed",
    "to_json",
    "write_atomically",
]

LARGEST_RECORD = 4 << 20
"""Bytes that the JSON of a record may have; it has three thousand."""
FAILED = ".failed.json"
DEPTH = 5
"""Parts of a record's path below the root."""


def is_place(path: Path) -> bool:
    """Say whether a file lies in the folders of a task (``<task>@<version>``) and a protocol."""
    return "@" in path.absolute().parts[-3]


class Store:
    """Records in a folder: ``<kind>/<encoder>/<task>@<version>/<protocol>/<fraction>-s<seed>-<key>.json``,
    and ``<fraction>-s<seed>.failed.json`` where the cell failed.

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
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError("cannot be written to (permissions)", file=place, field="results")

    def path(self, cell: Cell, *, kind: str, version: str, key: str) -> Path:
        """Return where the record of a cell belongs."""
        folder = self.root / kind / cell.encoder / f"{cell.task}@{version}" / cell.protocol
        return folder / f"{cell.fraction:g}-s{cell.seed}-{key[:8]}.json"

    def find(self, path: Path, key: str) -> Record | None:
        """Return the finished record at ``path`` if its key is the wanted one."""
        if not path.is_file():
            return None
        record = read_record(path)
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
        write_atomically(path, to_json(complete))
        self.failure_path(path).unlink(missing_ok=True)
        return complete

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


def prediction_bytes(path: Path, record: Record) -> bytes:
    """Read the file with the predictions and hold it against the record's hash, without unpacking it.

    Raises:
        InputError: the file is missing or is not the one that the record hashed.
    """
    arrays = path.with_name(_beside(path, record))
    if not arrays.exists():
        raise InputError("the file with the predictions is missing", file=arrays)
    data = read_regular(arrays, PACKED)
    assert record.predictions is not None
    if digest_bytes(data) != record.predictions.sha256:
        raise InputError(
            "the predictions were changed after the record was written", file=arrays, field="sha256"
        )
    return data


def _beside(path: Path, record: Record) -> str:
    """Return the name of a record's predictions, which lie in its folder and nowhere else."""
    if record.predictions is None:
        raise InputError("the record keeps no predictions", file=path, field="predictions")
    name = record.predictions.file
    if not name.endswith(".npz") or "/" in name or "\\" in name or "\0" in name or len(name.encode()) > 255:
        raise InputError(
            f"{name[:60]!r} is no .npz file beside the record", file=path, field="predictions.file"
        )
    return name


def digest_bytes(data: bytes) -> str:
    """Return the sha256 (hex) of bytes."""
    return hashlib.sha256(data).hexdigest()
