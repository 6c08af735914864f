"""Raw-layout writers, one module per data set.

A writer module has ``COUNT`` (images by default), ``SIZE`` (pixels by default), ``write_item(folder,
phantom)``, which writes the files of one image and returns its table rows as plain data, and
``write_tables(folder, items, seed)``, which writes the tables from the rows of all images in their order.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.phantom.generate import Phantom
from g2d_bench.registry import Registry

Item = dict[str, Any]
"""What an image leaves for the tables; built-in types only, so that it travels between processes."""

WRITERS: Registry[int] = Registry(
    "phantom data set", package=__name__, mark="COUNT", group="g2d_bench.phantoms"
)
"""Data sets that can be generated, which are also names of folders; a module with ``COUNT`` writes one."""


class Writer(Protocol):
    """What a writer module offers."""

    COUNT: int
    SIZE: int

    def write_item(self, folder: Path, phantom: Phantom) -> Item:
        """Write the files of one image below ``folder``."""

    def write_tables(self, folder: Path, items: list[Item], seed: int) -> None:
        """Write the tables of the whole data set."""


def writer_of(dataset: str) -> Writer:
    """Import the writer of a data set.

    Raises:
        InputError: there is none.
    """
    if dataset not in WRITERS:
        raise InputError(f"no phantom data set {dataset!r}, {did_you_mean(dataset, WRITERS.names)}")
    return cast(Writer, import_module(WRITERS.module(dataset)))
