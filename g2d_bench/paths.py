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


def expand(path: Path | str, field: str) -> Path:
    """Put a home folder in the place of ``~`` or ``~name``.

    Raises:
        InputError: there is no such user, or this one has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError("no such home folder", file=str(path), field=field) from None


def cache_dir() -> Path:
    """Return the folder for everything that can be made again (``G2D_BENCH_CACHE``)."""
    configured = os.environ.get("G2D_BENCH_CACHE")
    if configured:
        return expand(configured, "G2D_BENCH_CACHE")
    return expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "cache; set G2D_BENCH_CACHE") / "g2d-bench"
