"""A submission as a folder: what is in it, and what a stranger's may not be.

A bundle mirrors the repository of results that it is meant for, so that copying it there adds files::

    records/<kind>/<encoder>/<task>@<version>/<protocol>/…   compact records, predictions beside them
    cards/<encoder>.toml                                     cards of encoders that do not ship with the suite
    submissions/<name>.json                                  who was measured, licence, which files
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from g2d_bench.errors import InputError
from g2d_bench.records.cell import Name
from g2d_bench.records.record import LARGEST_RECORD
from g2d_bench.records.store import FAILED
from g2d_bench.safe_files import LARGEST_TOML, parse_json, read_strangers

RECORDS, CARDS, SUBMISSIONS, README = "records", "cards", "submissions", "README.md"
HOLDS = frozenset({RECORDS, CARDS, SUBMISSIONS, README})
"""What stands in a bundle, and so in a draft of one."""
SUFFIXES = {RECORDS: (".json", ".npz"), CARDS: (".toml",), SUBMISSIONS: (".json",)}
"""Folder to the files that belong into it."""
LARGEST = {".json": LARGEST_RECORD, ".npz": 16 << 20, ".toml": LARGEST_TOML, ".md": 1 << 20}
"""Bytes of a file; compact predictions of the largest test set have a tenth of it."""
MOST_FILES = 20_000
MOST_BYTES = 1 << 30
DEEPEST = 7
"""Folders above a record, one of them the root's."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@+._-]{0,150}")
"""Of files and folders: nothing that a shell, a page or another system reads otherwise."""

Line = Annotated[str, Field(max_length=500)]
Said = Annotated[str, Field(min_length=1, max_length=500)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Claim(_Part):
    """What a submission states of an encoder."""

    title: Line
    paper: Line = ""
    licence: Said
    """Of the weights."""
    pretraining: Annotated[tuple[Said, ...], Field(strict=False, max_length=100)]
    """Data sets that it has seen; none for an encoder without pre-training."""
    scale: Literal["phantom", "published"]
    card: Line
    """Its card in the bundle; "" for one that ships with the suite."""
    weights: Annotated[tuple[Said, ...], Field(strict=False, max_length=1000)]
    """Digests of the weights with which its records were made."""


class Submission(_Part):
    """The file ``submissions/<name>.json``."""

    schema_version: Literal[1] = 1
    suite: Line
    """Version of g2d-bench."""
    made: Line
    note: Line = ""
    """The submitter's words."""
    partial: Line = ""
    """Why rows are not complete, where they are not."""
    encoders: Annotated[dict[Name, Claim], Field(min_length=1, max_length=200)]
    files: Annotated[
        dict[Line, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]], Field(max_length=MOST_FILES)
    ]
    """Path in the bundle to sha256."""


def read_submission(path: Path) -> Submission:
    """Read what a bundle states.

    Raises:
        InputError: no JSON, or a field that is wrong.
    """
    raw = parse_json(read_strangers(path, LARGEST_RECORD), path)
    try:
        return Submission.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"].removeprefix("Value error, "), file=path, field=field) from None


def records_root(folder: Path) -> Path:
    """Return where the records of a repository of results are: in its ``records``, or in itself."""
    inside = folder / RECORDS
    return inside if inside.is_dir() and not inside.is_symlink() else folder


def files_of(root: Path, *, whole: bool = False) -> tuple[list[str], list[str]]:
    """List a stranger's folder without opening, following or running anything in it.

    Args:
        root: the folder.
        whole: whether it is a whole repository of results, in which other files may be, too.

    Returns:
        Paths of the files of submissions, relative to the root, and of the others.

    Raises:
        InputError: a link, a pipe, a device, a name or a size that no submission has, too many files, or,
            unless ``whole``, a file that is no part of a submission.
    """
    ours: list[str] = []
    others: list[str] = []
    size = 0
    for inside, entry in _entries(root, whole=whole):
        path = f"{inside}{entry.name}"
        top = path.partition("/")[0]
        if top not in SUFFIXES and (path != README or whole):
            others.append(path)
        else:
            _require_allowed(root, path, top)
            ours.append(path)
        if entry.stat(follow_symlinks=False).st_size > LARGEST.get(Path(path).suffix, max(LARGEST.values())):
            raise InputError("is larger than such a file may be", file=root / path)
        size += entry.stat(follow_symlinks=False).st_size
        if size > MOST_BYTES:
            raise InputError(f"holds more than {MOST_BYTES >> 20} MiB", file=root)
    alike: dict[str, str] = {}
    for path in ours:
        if alike.setdefault(path.lower(), path) != path:
            raise InputError(f"and {alike[path.lower()]} are one file on some systems", file=root / path)
    if others and not whole:
        raise InputError("is no part of a submission", file=root / min(others))
    return sorted(ours), sorted(others)


def _entries(root: Path, *, whole: bool) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield files with the folder in which they are; folders are counted, too."""
    waiting, count = [""], 0
    while waiting:
        inside = waiting.pop()
        with os.scandir(root / inside) as entries:
            for entry in entries:
                count += 1
                if count > MOST_FILES:
                    raise InputError(f"holds more than {MOST_FILES} files", file=root)
                if whole and not inside and entry.name == ".git":
                    continue
                free = whole and f"{inside}{entry.name}".partition("/")[0] not in SUFFIXES
                if not NAME.fullmatch(entry.name) and not free:
                    raise InputError(
                        "has a name that no file of a submission has", file=root / inside / entry.name
                    )
                if entry.is_symlink():
                    raise InputError("is a link", file=root / inside / entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if inside.count("/") >= DEEPEST:
                        raise InputError("lies deeper than any file of a submission", file=root / inside)
                    waiting.append(f"{inside}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield inside, entry
                else:
                    raise InputError("is no regular file", file=root / inside / entry.name)


def _require_allowed(root: Path, path: str, top: str) -> None:
    if path == README:
        return
    if not path.endswith(SUFFIXES[top]) or path.endswith(FAILED):
        raise InputError(f"does not belong into {top}/", file=root / path)
    if top != RECORDS and path.count("/") != 1:
        raise InputError(f"lies deeper than files of {top}/ do", file=root / path)
