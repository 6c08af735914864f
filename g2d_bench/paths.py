"""Where things lie: package data, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return a shipped data folder: inside the package in a wheel, beside it in a checkout.

    Args:
        name: ``tasks``, ``baselines`` or ``results``.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def cache_dir() -> Path:
    """Return the folder for everything that can be made again (``G2D_BENCH_CACHE``)."""
    configured = os.environ.get("G2D_BENCH_CACHE")
    if configured:
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "g2d-bench"
