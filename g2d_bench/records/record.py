"""Records: what a finished cell leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file, digest_json

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
    title: str = ""
    """As the card calls it."""
    scale: Literal["phantom", "published"] | None = None
    """As on the card; None in records that were written before it was noted."""
    pretraining: tuple[str, ...] | None = None
    """Data sets of the pre-training, none for an encoder without one; None where it is not stated."""


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


def key_of(identity: dict[str, Any]) -> str:
    """Return the key of a cell from everything that moves its number."""
    return digest_json(identity)
