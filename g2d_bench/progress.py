"""Progress: a bar on a terminal; elsewhere whole lines, and only of work that takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

from g2d_bench.plain import visible
from g2d_bench.terminal import present, raw

T = TypeVar("T")

FIRST = 5.0
"""Seconds after which work in a log says for the first time how far it is."""

INTERVAL = 20.0
"""Seconds between its lines after that."""

_on_behalf_of = ""
_silent = False


class Meter:
    """How far one piece of work is, on stderr.

    A terminal gets a bar with the time left, which goes when the work is done. A log (or a process that works
    beside others, see :func:`speaking_for`) gets a line after 5 s and then every 20 s, each written in one
    piece, so that neither half-drawn bars nor several processes garble it. Shorter work says nothing there.

    Args:
        label: what the work is, in a few words.
        total: number of steps, None where it is not known.
        unit: what one step is.
    """

    def __init__(self, label: str, total: int | None = None, unit: str = "it") -> None:
        self.label, self.total, self.unit = label, total, unit
        # Kept: what redirects stderr while the work goes on is meant for others.
        self.stream = present(sys.stderr)
        self.done = 0
        self.start = time.monotonic()
        self.next = self.start + FIRST
        self.bar: Any = None
        if self.stream.isatty() and not _on_behalf_of and not _silent:
            from tqdm import tqdm

            self.bar = tqdm(
                desc=visible(label),
                total=total,
                unit=unit,
                mininterval=0.2,
                leave=False,
                dynamic_ncols=True,
                # A bar moves the cursor.
                file=raw(self.stream),
            )

    def step(self, count: int = 1) -> None:
        """Note that ``count`` more steps are done."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
            return
        now = time.monotonic()
        if now >= self.next and self.done != self.total:
            self._say(self._left(now))
            self.next = now + INTERVAL

    def close(self) -> None:
        """Take the bar away, or say in the log how long the work took, if that was long."""
        if self.bar is not None:
            self.bar.close()
        elif (now := time.monotonic()) - self.start >= FIRST:
            self._say(f"in {clock(now - self.start)}")

    def _left(self, now: float) -> str:
        # The first steps carry the cost of starting: no guess from them.
        if not self.total or 20 * self.done < self.total:
            return f"after {clock(now - self.start)}"
        return f"about {clock((now - self.start) / self.done * (self.total - self.done))} left"

    def _say(self, when: str) -> None:
        if _silent:
            return
        count = f"{self.done}/{self.total}" if self.total else f"{self.done}"
        behalf = f"{_on_behalf_of}: " if _on_behalf_of else ""
        self.stream.write(f"{behalf}{self.label}: {count} {self.unit}, {when}\n")
        self.stream.flush()


_told: set[str] = set()


def tell_once(text: str) -> None:
    """Print a line on stderr, the first time that it is told in this process."""
    if text not in _told and not _silent:
        _told.add(text)
        tell(text)


def tell(text: str) -> None:
    """Print a line on stderr, unless nothing is to be said."""
    if not _silent:
        print(text, file=present(sys.stderr), flush=True)


@contextmanager
def silence(quiet: bool = True) -> Iterator[None]:
    """Say nothing of progress in this process, as befits a library.

    Args:
        quiet: False changes nothing.
    """
    global _silent
    before, _silent = _silent, quiet or _silent
    try:
        yield
    finally:
        _silent = before


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield ``items`` and show how far the work is; see :class:`Meter`.

    Args:
        items: what to iterate over.
        label: what the work is, in a few words.
        total: number of items where ``items`` has no length.
        unit: what one item is.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    meter = Meter(label, total, unit)
    try:
        for item in items:
            yield item
            meter.step()
    finally:
        meter.close()


@contextmanager
def speaking_for(name: str) -> Iterator[None]:
    """Put a name before what this process says of its progress, as one of several at work.

    Args:
        name: whose work it is.
    """
    global _on_behalf_of
    before, _on_behalf_of = _on_behalf_of, name
    try:
        yield
    finally:
        _on_behalf_of = before


def clock(seconds: float) -> str:
    """Write seconds as ``42 s``, ``3:05 min`` or ``2:07 h``."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
