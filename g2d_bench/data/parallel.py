"""One function over many files: by threads where they are few, by processes where they are many.

What most files cost is paid under Python's lock: of a JPEG in a DICOM file 40 to 55 % of decoding, and all of
hashing with a look at the header. Threads therefore gain little beyond two cores, and processes pay for their
start, which takes a second or two.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
from g2d_bench.progress import track

A = TypeVar("A")
R = TypeVar("R")

MANY = 2000
"""Files from which on processes are started."""
SEVERAL = 3
"""Cores from which on they gain more than their start costs."""
CHUNK = 16
"""Files that travel together."""


def over_files(
    work: Callable[[A], R], items: Sequence[A], label: str, *, threads: int | None = None
) -> Iterator[R]:
    """Apply ``work`` to each item, side by side, and yield the results in order, with progress.

    Args:
        work: what is done with one; a function of a module, or an object that can be pickled and called, or
            else threads alone are used.
        items: one for each file.
        label: what the progress line says.
        threads: how many at most where threads are used; by default one for each core.

    Raises:
        Exception: what ``work`` raises first; what is still waiting is not begun.
    """
    if len(items) >= MANY and cores() >= SEVERAL and _travels(work):
        yield from track(_by_processes(work, items), label, len(items), "img")
        return
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        try:
            yield from track(pool.map(work, items), label, len(items), "img")
        except BaseException:
            # Without this, the pool would first go through everything that is still waiting.
            pool.shutdown(cancel_futures=True)
            raise


def _travels(work: Callable[..., Any]) -> bool:
    try:
        pickle.dumps(work)
    except Exception:
        return False
    return True


def _by_processes(work: Callable[[A], R], items: Sequence[A]) -> Iterator[R]:
    parts = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    with worker_pool(cores(), _begin, (work,)) as pool:
        with deaf_to_interrupts():
            futures = [pool.submit(_do, part) for part in parts]
        futures.reverse()
        while futures:
            yield from futures.pop().result()


_work: Callable[[Any], Any] | None = None


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work


def _do(items: Sequence[Any]) -> list[Any]:
    assert _work is not None
    return [_work(item) for item in items]
