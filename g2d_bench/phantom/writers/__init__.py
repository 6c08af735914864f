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

Item = dict[str, Any]
"""What an image leaves for the tables; built-in types only, so that it travels between processes."""

MODULES = {
    "siim": "siim",
    "rsna": "rsna",
    "object-cxr": "object_cxr",
    "chexpert": "chexpert",
    "cxr14": "cxr14",
    "covidx": "covidx",
    "mimic-cxr": "mimic_cxr",
    "ms-cxr": "ms_cxr",
    "covid-cxr": "covid_cxr",
}
"""Data set (also its folder) to module."""


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
    if dataset not in MODULES:
        raise InputError(f"no phantom data set {dataset!r}, {did_you_mean(dataset, list(MODULES))}")
    return cast(Writer, import_module(f"{__name__}.{MODULES[dataset]}"))
