"""Progress with ETA: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


_told: set[str] = set()


def tell_once(text: str) -> None:
    """Print a line on stderr, the first time that it is told in this process."""
    if text not in _told:
        _told.add(text)
        print(text, file=sys.stderr, flush=True)


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield ``items`` and show how far the work is on stderr.

    Args:
        items: what to iterate over.
        label: what the work is, in a few words.
        total: number of items where ``items`` has no length.
        unit: what one item is.
    """
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    yield from tqdm(
        items,
        desc=label,
        total=total,
        unit=unit,
        mininterval=0.2 if terminal else 10.0,
        # In a log, a carriage return would glue all states into one line.
        bar_format=None if terminal else "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]\n",
        leave=not terminal,
        dynamic_ncols=terminal,
        file=sys.stderr,
    )
