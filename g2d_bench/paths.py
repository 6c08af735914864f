"""Where things lie: package data, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from g2d_bench.errors import InputError

PACKAGE = Path(__file__).resolve().parent
MAX_NAME = 255
"""Bytes of one name in a path, on every common file system."""


def shipped(name: str) -> Path:
    """Return a shipped data folder: inside the package in a wheel, beside it in a checkout.

    Args:
        name: ``tasks``, ``baselines`` or ``results``.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def expanded(path: Path | str, field: str) -> Path:
    """Return a path that a user wrote, with ``~`` and ``~name`` replaced.

    Args:
        path: what the user wrote.
        field: the flag, key or variable in which it stands.

    Raises:
        InputError: nobody has that name, this user has no home folder, or it holds a NUL.
    """
    if "\0" in str(path):
        raise InputError("holds a NUL, as no path does", file=str(path), field=field)
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError("no such home folder", file=str(path), field=field) from None


def cache_dir() -> Path:
    """Return the folder for everything that can be made again (``G2D_BENCH_CACHE``).

    Raises:
        InputError: it is said to be in the home folder of somebody who has none.
    """
    configured = os.environ.get("G2D_BENCH_CACHE")
    if configured:
        return expanded(configured, "G2D_BENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return expanded(base or "~/.cache", "XDG_CACHE_HOME" if base else "G2D_BENCH_CACHE") / "g2d-bench"


def shipped_results(path: Path) -> Path:
    """Find a folder of records: as given, else among what ships with the suite."""
    inside = shipped("results") / path.relative_to("results") if path.parts[:1] == ("results",) else path
    return inside if not path.exists() and inside.is_dir() else path
