"""From the name of a data set to its reader and its folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
from g2d_bench.readers.folders import has_tables, release_folder
from g2d_bench.registry import Registry

READERS: Registry[type[Dataset]] = Registry(
    "data set", package="g2d_bench.readers", mark="READER", group="g2d_bench.datasets"
)
"""Readers of the data sets; a module of this package that says ``READER = …`` adds one."""


def dataset_names() -> list[str]:
    """Return the known data sets, sorted."""
    return READERS.names


def dataset_class(name: str) -> type[Dataset]:
    """Return the reader of a data set.

    Raises:
        InputError: there is none of that name.
    """
    return READERS[name]


def find_dataset(name: str, roots: Sequence[Path]) -> Dataset:
    """Open a data set below the first of several data roots that has it; see :func:`open_dataset`."""
    for root in roots[:-1]:
        try:
            return open_dataset(name, root)
        except InputError:
            if not root.is_dir():
                raise
    return open_dataset(name, roots[-1])


def open_dataset(name: str, data_root: Path) -> Dataset:
    """Open a data set below a data root.

    The release may lie deeper than its folder, as downloads leave it: in one folder per version
    (``ms-cxr/1.1.0``), in one of the archive's name, and all of PhysioNet's in ``physionet.org/files``.

    Args:
        name: one of :func:`dataset_names`.
        data_root: the folder that holds one folder per data set (any of the reader's ``folders``, in
            upper or lower case, also with a version behind it).

    Raises:
        InputError: unknown name; the root is missing or unreadable; it has no such folder. The text names
            tables of the data set that lie there under another folder's name.
    """
    reader = dataset_class(name)
    first: Path | None = None
    for folder in _folders(reader, data_root):
        if has_tables(release := release_folder(folder, reader.tables), reader.tables):
            return reader(release if reader.descend else folder)
        first = first or folder
    if first is not None:
        return reader(first)
    looked = " or ".join(f"{folder}/" for folder in reader.folders)
    raise InputError(f"no folder {looked} for data set {name}. {_advice(reader, data_root)}", file=data_root)


def _folders(reader: type[Dataset], data_root: Path) -> Iterator[Path]:
    """Yield the folders that may hold a release, the preferred first."""
    for inside in ("", "physionet.org/files", "files"):
        root = data_root / inside
        try:
            with os.scandir(root) as entries:
                folders = sorted(entry.name for entry in entries if entry.is_dir())
        except OSError as error:
            if inside:
                continue
            raise InputError(f"data root cannot be read: {error.strerror}", file=data_root) from error
        # Sorted, the lower-case spelling comes last and wins where there are several.
        present = {folder.lower(): root / folder for folder in folders}
        named = [present[folder.lower()] for folder in reader.folders if folder.lower() in present]
        yield from named
        versions = re.compile(rf"(?:{'|'.join(map(re.escape, reader.folders))})-(?:.*-)?v?\d+(\.\d+)*", re.I)
        for folder in reversed(folders):
            place = root / folder
            # Such a name alone proves little: the tables must be in it.
            if versions.fullmatch(folder) and has_tables(release_folder(place, reader.tables), reader.tables):
                yield place


def _advice(reader: type[Dataset], data_root: Path) -> str:
    """Say how to get a release, or, where its tables lie there, how to show them."""
    if has_tables(data_root, reader.tables):
        called = reader.folders[0]
        return f"Its tables lie in {data_root} itself: give the folder above, with this one called {called}."
    if has_tables(found := release_folder(data_root, reader.tables), reader.tables):
        known = {folder.lower() for folder in reader.folders}
        below = [found, *found.parents][: len(found.relative_to(data_root).parts)]
        named = [place for place in below if place.name.lower() in known]
        if named:
            return f"Its tables lie in {found}: give {named[-1].parent} as data root."
        others = {folder.lower() for name in READERS.names for folder in READERS[name].folders}
        if others.isdisjoint(place.name.lower() for place in below):
            called = reader.folders[0]
            return f"Its tables lie in {found}: call that folder {called}, or link it under that name."
    return reader.access
