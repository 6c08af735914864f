"""Where in a folder a release lies, and what lies there under another name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from g2d_bench.errors import InputError

PACKINGS = ("", ".gz", ".zip")
"""Endings that a packed table may have beside its own."""

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar")

_DEPTH = 2
_MANY = 64
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")

Tables = Sequence[Sequence[str]]
"""Tables that a release needs: of each group, one name (or pattern) must be there."""


def walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every folder below a root with the names of its files, links to folders followed.

    A folder that is reached twice, by a link, say, is yielded once; hidden ones and ``__MACOSX`` are left
    out.

    Raises:
        InputError: a folder cannot be read: what is in it would be missing without a word.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        names: list[str] = []
        below: list[str] = []
        links: set[str] = set()
        try:
            state = os.stat(folder)  # noqa: PTH116 - a quarter of a million folders of studies
            if (place := (state.st_dev, state.st_ino)) in seen:
                continue
            seen.add(place)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith((".", "__MACOSX")):
                        continue
                    (below if entry.is_dir() else names).append(entry.name)
                    if entry.is_symlink():
                        links.add(f"{folder}{os.sep}{entry.name}")
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=folder) from error
        yield folder, sorted(names)
        # Links last, so that a folder keeps its own name where a link leads to it, too.
        inner = sorted((f"{folder}{os.sep}{name}" for name in below), reverse=True)
        waiting += [path for path in inner if path in links] + [path for path in inner if path not in links]


def has_tables(folder: Path, tables: Tables) -> bool:
    """Say whether a folder holds the tables of a release, plain or packed."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    return all(any(_is_table(name, group) for name in names) for group in tables)


def release_folder(folder: Path, tables: Tables) -> Path:
    """Return the folder that holds the tables: this one or, of those up to two levels below, the newest.

    Downloads add levels: PhysioNet one per version (``ms-cxr/1.1.0``), archives often one of their own name.

    Returns:
        ``folder`` itself where the tables are nowhere.
    """
    level = [folder]
    for _ in range(_DEPTH + 1):
        if found := [place for place in level if has_tables(place, tables)]:
            return max(found, key=lambda place: (_version(place.name), -found.index(place)))
        level = [inner for place in level for inner in _subfolders(place)]
    return folder


def look_alike(root: Path, names: Sequence[str]) -> Path | None:
    """Find a table of another spelling, with an addition (``(1)``) or up to two levels below its place."""
    level = [root]
    patterns = [_spellings(name) for name in names]
    for _ in range(_DEPTH + 1):
        for place in level:
            try:
                files = sorted(entry.name for entry in os.scandir(place) if entry.is_file())
            except OSError:
                continue
            for pattern in patterns:
                for file in files:
                    if pattern.fullmatch(file):
                        return place / file
        level = [inner for place in level for inner in _subfolders(place)]
    return None


def packed_images(root: Path) -> list[str]:
    """Name the archives that lie unopened in a release, its packed tables aside."""
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_file())
    except OSError:
        return []
    table = re.compile(r"\.(csv|txt|json)\.(zip|gz)$", re.IGNORECASE)
    return [name for name in names if name.lower().endswith(ARCHIVES) and not table.search(name)]


def _is_table(name: str, group: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern + packing) for pattern in group for packing in PACKINGS)


def _version(name: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(name)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _subfolders(place: Path) -> list[Path]:
    """Return the folders in a folder; none of one with so many that it holds patients, not releases."""
    try:
        with os.scandir(place) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX")))
    except OSError:
        return []
    return [place / name for name in names] if len(names) <= _MANY else []


def _spellings(name: str) -> re.Pattern[str]:
    stem, _, ending = name.partition(".")
    words = "[-_ ]?".join(re.escape(word) for word in re.split(r"[-_ ]", stem))
    return re.compile(
        rf"{words}(?:[-_ ]*(?:\(\d+\)|copy|\d))?(?:\.{re.escape(ending)}|\.xlsx?|\.tsv)?(?:\.\w+)?",
        re.IGNORECASE,
    )
