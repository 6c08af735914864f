"""Records: what a finished cell leaves, and the folder that keeps them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file, digest_json
from g2d_bench.plan import Cell

SCHEMA = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CellPart(_Part):
    """Which cell this is."""

    task: str
    encoder: str
    fraction: float
    seed: int
    protocol: str


class DataPart(_Part):
    """The data that the cell saw."""

    dataset: str
    kind: Literal["phantom", "real"]
    hash: str
    split_hash: str
    images: dict[str, int]
    """Images in train (the fraction), val and test."""
    positive: dict[str, int]
    """Images that show a label of the task, per part."""
    leaks: str = ""
    """Empty, the reason with which a leak was overridden, or what the parts of a published split share."""


class EncoderPart(_Part):
    """The encoder's weights."""

    card_hash: str
    weights: str
    """Digest of the weight file, or of what a random initialisation is derived from."""


class Predictions(_Part):
    """The file beside the record that holds per-sample predictions."""

    file: str
    sha256: str


class Record(_Part):
    """A finished cell, complete enough to check and to repeat it."""

    schema_version: Literal[1] = 1
    key: str
    """Digest of everything that moves the number; the same key means the same number."""
    signature: str
    kind: str
    cell: CellPart
    data: DataPart
    encoder: EncoderPart
    metrics: dict[str, float | None]
    """None where a metric is undefined."""
    references: dict[str, dict[str, float | None]]
    predictions: Predictions | None = None
    notes: dict[str, Any] = {}
    """Facts about the run; ``n/a`` says why an encoder has no numbers in a task that does not apply to it."""
    versions: dict[str, str]
    commit: str
    hardware: dict[str, str | int]
    seconds: dict[str, float]
    peak_memory_mb: int
    command: str
    created: str


class Failure(_Part):
    """What a failed cell leaves: the reason, so that the others go on and a rerun tries again."""

    schema_version: Literal[1] = 1
    key: str
    """As in a record; empty where the data that it depends on cannot be read."""
    cell: CellPart
    bad_input: bool
    """Whether the user can mend it: a file, a card, a flag."""
    error: str
    traceback: str
    created: str


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
            The record with the predictions' name and hash, where there are any.

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
                update={"predictions": Predictions(file=arrays.name, sha256=digest_file(arrays))}
            )
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


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        InputError: not JSON, another schema version, or a field that is wrong.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"not a readable JSON record ({error})", file=path) from None
    if not isinstance(raw, dict) or "schema_version" not in raw:
        raise InputError("not a record of this suite", file=path, field="schema_version")
    if raw["schema_version"] != SCHEMA:
        raise InputError(
            f"is {raw['schema_version']}, this version of g2d-bench reads {SCHEMA}",
            file=path,
            field="schema_version",
        )
    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], file=path, field=name) from None


def changes(old: Record, new: Record) -> str:
    """Say in what two records differ that can move a number: code, versions, weights, machine."""
    changed = []
    if old.commit != new.commit:
        changed.append(f"commit {old.commit or 'unknown'} -> {new.commit or 'unknown'}")
    for what, before, after in (
        ("weights", old.encoder.weights[:8], new.encoder.weights[:8]),
        ("encoder card", old.encoder.card_hash[:8], new.encoder.card_hash[:8]),
    ):
        if before != after:
            changed.append(f"{what} {before} -> {after}")
    for there, here in ((old.versions, new.versions), (old.hardware, new.hardware)):
        changed += [
            f"{name} {there.get(name, 'absent')} -> {here.get(name, 'absent')}"
            for name in sorted({*there, *here})
            if there.get(name) != here.get(name)
        ]
    return ", ".join(changed)


def read_predictions(path: Path, record: Record) -> dict[str, NDArray[Any]]:
    """Read the arrays beside a record.

    Raises:
        InputError: the file is missing or is not the one that the record hashed.
    """
    if record.predictions is None:
        raise InputError("the record keeps no predictions", file=path, field="predictions")
    arrays = path.with_name(record.predictions.file)
    if not arrays.is_file():
        raise InputError("the file with the predictions is missing", file=arrays)
    if digest_file(arrays) != record.predictions.sha256:
        raise InputError(
            "the predictions were changed after the record was written", file=arrays, field="sha256"
        )
    with np.load(arrays, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def to_json(part: BaseModel) -> bytes:
    """Write a model as indented JSON with a final newline."""
    return (json.dumps(part.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, making its folder, so that it is either there in full or not at all.

    Raises:
        InputError: no room, no permission, or a file where a folder should be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from error


def key_of(identity: dict[str, Any]) -> str:
    """Return the key of a cell from everything that moves its number."""
    return digest_json(identity)
