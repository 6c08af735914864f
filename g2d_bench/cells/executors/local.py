"""On this machine: in this process, or in several beside each other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from g2d_bench.cells.executors.base import Errand, Wishes, Work, WorkerDied
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done
from g2d_bench.errors import InputError
from g2d_bench.processes import (
    accelerator_forbidden,
    cores,
    deaf_to_interrupts,
    free_memory,
    fresh_queue,
    worker_pool,
)
from g2d_bench.progress import tell


class Local:
    """Runs units in processes of this machine.

    Args:
        wishes: how many processes, on which GPUs; by default one per core, or where there are GPUs one for
            each of them (``per_gpu`` for several).
    """

    def __init__(self, wishes: Wishes) -> None:
        wishes.require_known("local", ())
        if wishes.address is not None:
            raise InputError("is of a cluster; this machine has none (--executor ray)", field="--address")
        self._jobs, self._named = wishes.jobs, wishes.devices is not None
        found = wishes.devices if wishes.devices is not None else gpus()
        # The first process of each GPU before the second of any.
        self._slots = found * wishes.per_gpu

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run units; see :meth:`~g2d_bench.cells.executors.base.Executor.run`."""
        budget = work.bench.options.memory_budget
        workers = processes(len(units), self._jobs, budget, len(self._slots))
        if workers == 1 and not self._named:
            for unit in units:
                yield unit, work.do(unit)
            return
        for cell in (cell for unit in units for cell in unit):
            # Shared caches are filled once, here, and not by several workers at a time. Bad data is reported
            # by the cells that need them.
            with contextlib.suppress(InputError):
                work.bench.resolve(cell).fill_caches()
        if self._slots:
            said = ", ".join(dict.fromkeys(self._slots[:workers]))
            tell(f"{workers} process{'es' * (workers > 1)} on GPU {said}")
        yield from _in_pools(units, work, workers, self._slots)


EXECUTOR = Local


PROCESS = 1300 << 20
"""Bytes that a process takes beside the maps that it keeps: libraries, pixels, a decoder in training."""


def processes(count: int, jobs: int | None, memory_budget: int = 0, slots: int = 0) -> int:
    """Return how many processes run ``count`` cells.

    Cells of small encoders run on one thread each, so a core per cell is right from the second cell on, as
    far as the free memory lasts. On GPUs it is a process for each slot.

    Args:
        count: how many cells or units there are.
        jobs: as many as the user wants; None to choose.
        memory_budget: bytes of maps that each process may keep.
        slots: places for a process on GPUs; 0 where none is used.
    """
    free = free_memory()
    fitting = count if free is None else free // (PROCESS + memory_budget)
    if jobs is not None:
        chosen = max(1, min(jobs, count))
        if chosen > 1 and chosen > fitting:
            need = f"{chosen} processes may need {chosen * (PROCESS + memory_budget) / 2**30:.1f} GiB"
            left = f"{(free or 0) / 2**30:.1f} GiB are free"
            tell(f"{need} of memory, and {left}: --jobs {max(1, fitting)} is safe")
        return chosen
    return max(1, min(slots or cores(), count, fitting))


_DEVICES = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> tuple[str, ...]:
    """Name the GPUs that may be used, without paying for torch's import; none where they are left alone."""
    if accelerator_forbidden():
        return ()
    there = sorted(int(path.name[6:]) for path in _DEVICES.glob("nvidia[0-9]*") if path.name[6:].isdigit())
    allowed = os.environ.get(VISIBLE)
    if allowed is None or not there:
        return tuple(map(str, there))
    # Numbers, or names such as GPU-8932f937; what comes after -1 does not count.
    named = [part.strip() for part in allowed.split(",")]
    return tuple(part for part in named[: named.index("-1") if "-1" in named else None] if part)


def _in_pools(
    units: Sequence[Unit], work: Work, workers: int, slots: Sequence[str] = ()
) -> Iterator[tuple[Unit, Done]]:
    """Run units in pools of processes; one that is killed takes only its own unit with it."""
    waiting = list(units)
    while waiting:
        broken: list[Unit] = []
        for unit, done in _side_by_side(waiting, work, min(workers, len(waiting)), slots):
            if isinstance(done, BaseException):
                broken.append(unit)
            else:
                yield unit, done
        # A killed worker takes the pool with it. Work goes out in order, so the culprit is one of the first
        # that are not done: each of these gets a pool of its own, in which only a culprit fails again.
        broken.sort(key=units.index)
        for suspect in broken[:workers]:
            for unit, done in _side_by_side([suspect], work, 1, slots):
                yield unit, work.failed(unit, _died(done)) if isinstance(done, BaseException) else done
        waiting = broken[workers:]


def _side_by_side(
    units: Sequence[Unit], work: Work, workers: int, slots: Sequence[str]
) -> Iterator[tuple[Unit, Done | BaseException]]:
    """Run units in worker processes; an exception in the place of outcomes means that a process died.

    Raises:
        InputError: what became of a cell cannot be written.
    """
    with worker_pool(workers, _start_worker, (work.errand(), _places(workers, slots))) as pool:
        with deaf_to_interrupts():
            futures = {pool.submit(_do, unit): unit for unit in units}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, InputError):
                raise error
            yield futures[future], error if error is not None else future.result()


def _died(error: BaseException) -> BaseException:
    if not isinstance(error, BrokenProcessPool):
        return error
    return WorkerDied("its process was killed, as happens when memory runs out (--jobs 1 needs the least)")


_work: Work | None = None


def _places(workers: int, slots: Sequence[str]) -> SimpleQueue[str] | None:
    """Lay out a GPU for each process of a pool to take when it starts."""
    if not slots:
        return None
    queue = fresh_queue()
    for worker in range(workers):
        queue.put(slots[worker % len(slots)])
    return queue


def _start_worker(errand: Errand, places: SimpleQueue[str] | None) -> None:
    global _work
    if places is not None:
        # CUDA looks at it once, at its first use, which is in the first cell.
        os.environ[VISIBLE] = places.get()
    _work = errand.begin()


def _do(unit: Unit) -> Done:
    assert _work is not None
    return Errand.do(_work, unit)
