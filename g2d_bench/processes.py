"""Pools of worker processes that end when their parent does, and say nothing when a user interrupts it."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from g2d_bench.errors import InputError
from g2d_bench.terminal import make_neutral


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
"""Limit and use of a container's memory in bytes, by both versions of control groups."""


def free_memory() -> int | None:
    """Return how many bytes new work may take in this machine or its container; None if unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(errors="replace").splitlines())
        if "MemAvailable" in lines:
            found.append(int(lines["MemAvailable"].split()[0]) << 10)
    for limit, use in _CGROUPS:
        # "max", or a number past all memory, means no limit.
        with contextlib.suppress(OSError, ValueError):
            found.append(max(0, int(limit.read_text()) - int(use.read_text())))
    return min(found, default=None)


def give_back_memory() -> None:
    """Give the system back what was freed, also between what is in use; without glibc do nothing."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


_hiding = threading.Lock()


class _Bare(SpawnProcess):
    """A process that does not run the user's script, and ends at once.

    A fresh process imports the main module, as whatever it is handed could be defined there. What it is
    handed here never is, and a script without ``if __name__ == "__main__"``, such as most that call a
    library, would do its work again in each of its own workers, or wait for itself for ever.

    At its end it leaves its memory to the system, as forked processes do: to take torch's modules apart
    lasts a second, for which whoever waits for a pool would wait.
    """

    def _bootstrap(self, *args: Any, **kwargs: Any) -> NoReturn:
        # All that is to be done at an exit has been done when this returns, and all is written out.
        os._exit(super()._bootstrap(*args, **kwargs))  # type: ignore[misc]

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _hiding:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _Fresh(SpawnContext):
    Process = _Bare


def fresh_queue() -> SimpleQueue[Any]:
    """Return a queue that can be handed to the processes of a :func:`worker_pool`."""
    return _Fresh().SimpleQueue()


@contextlib.contextmanager
def worker_pool(
    workers: int, initialise: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of fresh processes; whatever ends the block early ends them at once.

    Tasks are to be submitted within :func:`deaf_to_interrupts`, which starts the processes.

    Args:
        workers: how many.
        initialise: called in each of them at its start.
        arguments: its arguments.
    """
    # Fresh processes: a fork of one with torch's threads in it may hang.
    pool = ProcessPoolExecutor(
        workers,
        mp_context=_Fresh(),
        initializer=_start,
        initargs=(initialise, arguments),
    )
    others = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def one_thread_each() -> None:
    """Have a new process compute with one thread: as many processes as there are processors keep them busy.

    For the start of a :func:`worker_pool`'s processes, before they import numpy. Threads of a matrix library
    that wait for each other on small products take twice the processors' time, or more where all are busy.
    """
    for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "BLIS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes within: they inherit that Ctrl-C, which reaches a whole terminal, is not theirs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def patient_interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C within be noted only, so that what is begun can be ended well; the second acts.

    Yields:
        Says whether there was one; always False where Ctrl-C does something else than to interrupt, or
        nothing at all.
    """
    noted = False
    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return

    def note(*_: object) -> None:
        nonlocal noted
        noted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # A handler may come in the middle of another write to the same stream.
        os.write(2, b"\ng2d-bench: saves and stops after this step; Ctrl-C again stops at once\n")

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _start(initialise: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_neutral()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initialise is not None:
        initialise(*arguments)


def _end_with_parent() -> None:
    """A killed parent cannot end its workers; without this they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


DEVICE = "G2D_BENCH_DEVICE"
"""Environment variable: ``cpu`` leaves an accelerator alone, ``cuda`` is as good as nothing."""


def accelerator_forbidden() -> bool:
    """Say whether the environment wants all work done on processors; torch is not asked.

    Raises:
        InputError: it says something else, which would be taken for nothing.
    """
    said = os.environ.get(DEVICE, "").strip().lower()
    if said not in ("", "cpu", "cuda"):
        raise InputError(
            f"{said!r} is neither cpu nor cuda; one GPU of several is chosen by CUDA_VISIBLE_DEVICES",
            field=DEVICE,
        )
    return said == "cpu"
