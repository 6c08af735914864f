"""What `evaluate` and `probe` are asked, held against what they take before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.errors import InputError

MOST_JOBS = 1024


def tasks_of(given: Any) -> list[str]:
    """Return names of tasks: of one name, or of a list of them.

    Raises:
        InputError: they are none.
    """
    tasks = [given] if isinstance(given, str) else _several(given, "tasks", "names")
    if not tasks:
        raise InputError("names none; give one or several, or 'all'", field="tasks")
    return [word(task, "tasks") for task in tasks]


def fractions_of(given: Any) -> list[float]:
    """Return shares of the labels; a number of few bits is the one that it is written as.

    Raises:
        InputError: one is none above 0 and up to 1.

    Example:
        >>> fractions_of([np.float32(0.1)])
        [0.1]
    """
    shares = _several(given, "fractions", "numbers")
    for share in shares:
        if not _is_a(Real, share) or not 0 < share <= 1:
            raise InputError(f"{share!r} is no share above 0 and up to 1", field="fractions")
    return [float(str(share)) if isinstance(share, np.floating) else float(share) for share in shares]


def shots_of(given: Any) -> list[int]:
    """Return numbers of images per class.

    Raises:
        InputError: one is none from 1 on.
    """
    counts = _several(given, "shots", "numbers")
    for count in counts:
        if not _is_a(Integral, count) or not 0 < count < 10**6:
            raise InputError(f"{count!r} is no number of images per class", field="shots")
    return list(map(int, counts))


def seeds_of(given: Any) -> list[int]:
    """Return seeds: of how many, or of which.

    Raises:
        InputError: they are none.
    """
    wrong = InputError("must be how many (1 or more), or which, from 0 to 4294967295", field="seeds")
    if isinstance(given, str | bool) or not isinstance(given, Integral | Iterable):
        raise wrong
    seeds = list(range(int(given))) if isinstance(given, Integral) else list(given)
    if not seeds or not all(_is_a(Integral, seed) and 0 <= seed < 1 << 32 for seed in seeds):
        raise wrong
    return list(map(int, seeds))


def jobs_of(given: Any) -> int:
    """Return a number of processes.

    Raises:
        InputError: it is none from 1 on.
    """
    if not _is_a(Integral, given) or not 1 <= given <= MOST_JOBS:
        raise InputError(f"must be a number of processes from 1 to {MOST_JOBS}, not {given!r}", field="jobs")
    return int(given)


def word(given: Any, field: str) -> str:
    """Return a text.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(given, str):
        raise InputError(f"must be one name, not {given!r}", field=field)
    return str(given)


def folder_of(given: Any, field: str) -> Path | None:
    """Return a folder, or None where none is given.

    Raises:
        InputError: it is no path.
    """
    if given is None:
        return None
    if not isinstance(given, str | PathLike):
        raise InputError(f"must be the path of a folder, not {given!r}", field=field)
    return Path(given)


def sets_of(given: Any) -> list[str]:
    """Return the data sets that a model has seen.

    Raises:
        InputError: they are no list of names.
    """
    if isinstance(given, str):
        raise InputError(f"must be a list of data sets, such as [{given!r}]", field="pretraining")
    return [word(one, "pretraining") for one in _several(given, "pretraining", "names")]


def _several(given: Any, field: str, of: str) -> list[Any]:
    """Return what a list holds; a word is none, although it has letters."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"must be a list of {of}, not {given!r}", field=field)
    return list(given)


def _is_a(sort: type, number: Any) -> bool:
    return isinstance(number, sort) and not isinstance(number, bool)
