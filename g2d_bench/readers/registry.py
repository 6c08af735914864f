"""From the name of a data set to its reader and its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
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

    Args:
        name: one of :func:`dataset_names`.
        data_root: the folder that holds one folder per data set (any of the reader's ``folders``, in
            upper or lower case).

    Raises:
        InputError: unknown name; the root is missing or unreadable; it has no such folder.
    """
    reader = dataset_class(name)
    try:
        with os.scandir(data_root) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise InputError(f"data root cannot be read: {error.strerror}", file=data_root) from error
    # Sorted, the lower-case spelling comes last and wins where there are several.
    present = {folder.lower(): data_root / folder for folder in folders}
    for folder in reader.folders:
        if folder.lower() in present:
            return reader(present[folder.lower()])
    looked = " or ".join(f"{folder}/" for folder in reader.folders)
    raise InputError(f"no folder {looked} for data set {name}. {reader.access}", file=data_root)
