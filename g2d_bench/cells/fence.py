"""Work on strangers' files in a process of its own, with an end to its time and its memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import TimeoutError as TooLate
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from g2d_bench.errors import InputError
from g2d_bench.processes import deaf_to_interrupts, worker_pool

T = TypeVar("T")

MEMORY = 16 << 30
"""Bytes of address space; libraries alone claim some of it and use little."""


def fenced(work: Callable[..., T], *arguments: Any, seconds: float, memory: int = MEMORY) -> T:
    """Call a function in a process that is killed when its time is over.

    Args:
        work: a function at the top level of a module.
        arguments: its arguments.
        seconds: that it may take, the start of the process included.
        memory: bytes that the process may claim, where the system has such a limit.

    Raises:
        InputError: it took longer, or its process ended without a word, as when memory ran out; or whatever
            ``work`` raises.
    """
    try:
        with worker_pool(1, _limit, (memory,)) as pool:
            with deaf_to_interrupts():
                task = pool.submit(work, *arguments)
            return task.result(timeout=seconds)
    except TooLate:
        raise InputError(f"took longer than {seconds:g} s and was ended") from None
    except (BrokenProcessPool, MemoryError):
        raise InputError("needed more memory than it may have, or was killed") from None


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # A system without such limits.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
