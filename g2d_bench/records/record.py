"""Records: what a finished cell leaves, field by field."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json, set_fields
from g2d_bench.plain import in_json
from g2d_bench.records.archives import PACKED, array_names, unpack
from g2d_bench.records.cell import Cell, Count, Name
from g2d_bench.records.shapes import require_shapes
from g2d_bench.records.signature import parse_signature
from g2d_bench.safe_files import parse_json, read_strangers

SCHEMA = 1
LARGEST_RECORD = 4 << 20
"""Bytes that the JSON of a record may have; it has three thousand."""
PARTS = ("train", "val", "test")


def _of_parts(counts: dict[str, int]) -> dict[str, int]:
    if tuple(sorted(counts)) != tuple(sorted(PARTS)):
        raise ValueError(f"must count {', '.join(PARTS)}, nothing else")
    return counts


Number = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Counts = Annotated[dict[str, Count], AfterValidator(_of_parts)]
Numbers = dict[Annotated[str, Field(min_length=1, max_length=300)], Number | None]


class _Part(BaseModel):
    # Strict: true is no 1 and "3" no 3, and what is read is written again as it was.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataPart(_Part):
    """The data that the cell saw."""

    dataset: Name
    kind: Literal["phantom", "real"]
    hash: str
    split_hash: str
    images: Counts
    """Images in train (the fraction), val and test."""
    positive: Counts
    """Images that show a label of the task, per part."""
    leaks: str = ""
    """Empty, the reason with which a leak was overridden, or what the parts of a published split share."""

    @model_validator(mode="after")
    def _positive_are_images(self) -> DataPart:
        for part in PARTS:
            if self.positive[part] > self.images[part]:
                raise ValueError(f"{self.positive[part]} of {self.images[part]} {part} images are positive")
        return self


class EncoderPart(_Part):
    """The encoder's weights."""

    card_hash: str
    weights: str
    """Digest of the weight file, or of what a random initialisation is derived from."""
    title: str = ""
    """As the card calls it."""
    scale: Literal["phantom", "published"] | None = None
    """As on the card; None in records that were written before it was noted."""
    pretraining: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Data sets of the pre-training, none for an encoder without one; None where it is not stated."""
    form: Annotated[Literal["", "embeddings", "scorer"], Field(exclude_if=lambda form: not form)] = ""
    """What the encoder is where it is no encoder whose weights were here."""


class Predictions(_Part):
    """The file beside the record that holds per-sample predictions."""

    file: str
    """A name in the folder of the record."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Record(_Part):
    """A finished cell, complete enough to check and to repeat it."""

    schema_version: Literal[1] = 1
    key: str
    """Digest of everything that moves the number; the same key means the same number."""
    signature: str
    kind: str
    cell: Cell
    data: DataPart
    encoder: EncoderPart
    metrics: Annotated[Numbers, Field(min_length=1, max_length=1000)]
    """None where a metric is undefined."""
    references: Annotated[dict[Name, Numbers], Field(max_length=20)]
    predictions: Predictions | None = None
    notes: dict[str, Any] = {}
    """Facts about the run; ``n/a`` says why an encoder has no numbers in a task that does not apply to it."""
    versions: dict[str, str]
    commit: str
    hardware: dict[str, str | int]
    seconds: dict[str, Number]
    peak_memory_mb: Count
    command: str
    """Repeats this very cell."""
    created: str
    digest: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    """Over everything else in the record, the hash of the predictions included; see :func:`sealed`. Empty in
    records of before it was introduced."""

    @property
    def tested_on(self) -> str:
        """The data set of the test images; of a cell that was tested elsewhere, not that of its training."""
        return str(self.notes.get(TESTED_ON) or self.data.dataset)

    @property
    def published(self) -> bool:
        """Whether it repeats a published protocol, or was measured on a published split with its defects."""
        parts = parse_signature(self.signature)
        names = (self.cell.protocol, parts.split if parts is not None else "")
        return SPLIT_DEFECTS in self.notes or any(name.startswith(LEGACY) for name in names)

    @field_validator("notes")
    @classmethod
    def _notes_that_are_read(cls, notes: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(notes.get(NOT_APPLICABLE, ""), str):
            raise ValueError(f"{NOT_APPLICABLE} must be a text")
        for name in (SPLIT_DEFECTS, LEFT_OUT):
            texts = notes.get(name, [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} must be a list of texts")
        return notes


NOT_APPLICABLE = "n/a"
"""Note that says why an encoder has no numbers in a task."""
WHY_UNDEFINED = "undefined"
"""Note of a record that says of each metric without a value why it has none."""
LEGACY = "legacy"
"""How protocols and splits begin that repeat what papers did."""
CODE = "code"
"""Note of a record that was measured by code of other packages: digests of its ``kind`` and ``metrics``."""
SPLIT_DEFECTS = "split_defects"
"""Note of a record that was measured on a published split: what is wrong with it."""
TRAINED_ON = "trained_on"
"""Note of a record that was tested on another data set than it trained on: which one that is, which task
measures its inside score, and the hashes by which that is known to have trained alike."""
TESTED_ON = "tested_on"
"""Note beside it: the data set of the test images."""
SHARED = "left_out_of_test"
"""Note beside them: which test images were left out, since training has them, too."""
IMAGES_PER_SECOND = "images_per_second"
"""Note of a record whose cell computed images: how many its encoder took in a second, in the suite's batches,
preprocessing included, on the record's ``hardware``. No number depends on it, and nothing compares it."""
LEFT_OUT = "left_out_of_predictions"
"""Note of a compact record: which arrays it lacks."""


def sealed(record: Record) -> Record:
    """Return a record with the digest over all that it says.

    What it says by default (an optional field that is not there) does not count, so that a field which is
    added later breaks no seal.
    """
    return record.model_copy(update={"digest": digest_json(set_fields(record, exclude={"digest"}))})


def unbroken(record: Record) -> bool:
    """Say whether nobody changed a record after it was sealed; one of before there were seals has none."""
    return not record.digest or record.digest == sealed(record).digest


class Failure(_Part):
    """What a failed cell leaves: the reason, so that the others go on and a rerun tries again."""

    schema_version: Literal[1] = 1
    key: str
    """As in a record; empty where the data that it depends on cannot be read."""
    cell: Cell
    bad_input: bool
    """Whether the user can mend it: a file, a card, a flag."""
    error: str
    traceback: str
    created: str


def changes(old: Record, new: Record) -> str:
    """Say in what two records differ that can move a number: code, versions, weights, machine."""
    changed = []
    if old.commit != new.commit:
        changed.append(f"commit {old.commit or 'unknown'} -> {new.commit or 'unknown'}")
    for what, before, after in (
        ("weights", old.encoder.weights, new.encoder.weights),
        ("encoder card", old.encoder.card_hash, new.encoder.card_hash),
    ):
        if before != after:
            changed.append(f"{what} {' -> '.join(_told_apart(before, after))}")
    changed += [
        f"{name} {old.versions.get(name, 'absent')} -> {new.versions.get(name, 'absent')}"
        for name in sorted({*old.versions, *new.versions})
        if old.versions.get(name) != new.versions.get(name)
    ]
    # A package that is not named is not there; what is not said of a machine was not written down then.
    changed += [
        f"{name} {there} -> {new.hardware[name]}"
        for name, there in sorted(old.hardware.items())
        if there != new.hardware.get(name, there)
    ]
    return ", ".join(changed)


def _told_apart(first: str, second: str) -> tuple[str, str]:
    """Shorten two different digests as far as they stay different; what is no digest is said in full."""
    if all(len(text) == 64 and not set(text) - set("0123456789abcdef") for text in (first, second)):
        return next((first[:n], second[:n]) for n in range(8, 65) if first[:n] != second[:n])
    return first, second


LEFT_UNSAID: dict[str, tuple[tuple[str, Any], ...]] = {"cell": (("shots", 0),)}
"""Fields of a record's parts that are not written where they say nothing: older records lack them."""


def to_json(part: BaseModel) -> bytes:
    """Write a model as indented JSON with a final newline."""
    content = part.model_dump(mode="json")
    for name, unset in LEFT_UNSAID.items():
        held = content.get(name)
        if isinstance(held, dict):
            content[name] = {field: value for field, value in held.items() if (field, value) not in unset}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return (in_json(text) + "\n").encode()


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        InputError: not JSON, another schema version, or a field that is wrong.
    """
    raw = parse_json(read_strangers(path, LARGEST_RECORD), path)
    if not isinstance(raw, dict) or "schema_version" not in raw:
        raise InputError("not a record of this suite", file=path, field="schema_version")
    version = raw["schema_version"]
    if version != SCHEMA or type(version) is not int:
        said = json.dumps(version)
        raise InputError(
            f"is {said[:40]}, this version of g2d-bench reads {SCHEMA}", file=path, field="schema_version"
        )
    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"].removeprefix("Value error, "), file=path, field=name) from None


def read_failure(path: Path) -> Failure | None:
    """Read what a failed cell left, None where the file cannot be read or says something else."""
    try:
        return Failure.model_validate_json(read_strangers(path, LARGEST_RECORD))
    except (InputError, ValidationError):
        return None


def read_predictions(path: Path, record: Record) -> dict[str, NDArray[Any]]:
    """Read the arrays beside a record.

    Raises:
        InputError: the file is missing, is not the one that the record hashed, or holds something else than
            the arrays of its kind of task.
    """
    data = prediction_bytes(path, record)
    arrays = path.with_name(_beside(path, record))
    predictions = unpack(data, arrays)
    require_shapes(record.kind, predictions, arrays)
    return predictions


def prediction_names(path: Path, record: Record) -> tuple[str, ...]:
    """Return the names of the arrays beside a record, which are not unpacked.

    Raises:
        InputError: the file is missing, is not the one that the record hashed, or is no archive.
    """
    return array_names(prediction_bytes(path, record), path.with_name(_beside(path, record)))


def prediction_bytes(path: Path, record: Record) -> bytes:
    """Read the file with the predictions and hold it against the record's hash, without unpacking it.

    Raises:
        InputError: the file is missing or is not the one that the record hashed.
    """
    arrays = path.with_name(_beside(path, record))
    if not arrays.exists():
        raise InputError("the file with the predictions is missing", file=arrays)
    data = read_strangers(arrays, PACKED)
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
