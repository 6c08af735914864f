"""On this machine: in this process, or in several beside each other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from g2d_bench.cells.executors.base import Errand, Wishes, Work, WorkerDied
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done
from g2d_bench.errors import InputError
from g2d_bench.processes import cores, deaf_to_interrupts, free_memory, worker_pool
from g2d_bench.progress import tell


class Local:
    """Runs units in processes of this machine.

    Args:
        wishes: how many processes; by default one per core, and one where a GPU is used.
    """

    def __init__(self, wishes: Wishes) -> None:
        self._jobs = wishes.jobs

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run units; see :meth:`~g2d_bench.cells.executors.base.Executor.run`."""
        workers = processes(len(units), self._jobs, work.bench.options.memory_budget)
        if workers == 1:
            for unit in units:
                yield unit, work.do(unit)
            return
        for cell in (cell for unit in units for cell in unit):
            # Shared caches are filled once, here, and not by several workers at a time. Bad data is reported
            # by the cells that need them.
            with contextlib.suppress(InputError):
                work.bench.resolve(cell).fill_caches()
        yield from _in_pools(units, work, workers)


EXECUTOR = Local


PROCESS = 1300 << 20
"""Bytes that a process takes beside the maps that it keeps: libraries, pixels, a decoder in training."""


def processes(count: int, jobs: int | None, memory_budget: int = 0) -> int:
    """Return how many processes run ``count`` cells.

    Cells of small encoders run on one thread each, so a core per cell is right from the second cell on, as
    far as the free memory lasts.

    Args:
        count: how many cells or units there are.
        jobs: as many as the user wants; None to choose.
        memory_budget: bytes of maps that each process may keep.
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
    if _gpu():
        return 1
    return max(1, min(cores(), count, fitting))


def _gpu() -> bool:
    """Say whether a GPU is used without paying for torch's import where none can be."""
    return os.environ.get("G2D_BENCH_DEVICE") != "cpu" and Path("/dev/nvidia0").exists()


def _in_pools(units: Sequence[Unit], work: Work, workers: int) -> Iterator[tuple[Unit, Done]]:
    """Run units in pools of processes; one that is killed takes only its own unit with it."""
    waiting = list(units)
    while waiting:
        broken: list[Unit] = []
        for unit, done in _side_by_side(waiting, work, min(workers, len(waiting))):
            if isinstance(done, BaseException):
                broken.append(unit)
            else:
                yield unit, done
        # A killed worker takes the pool with it. Work goes out in order, so the culprit is one of the first
        # that are not done: each of these gets a pool of its own, in which only a culprit fails again.
        broken.sort(key=units.index)
        for suspect in broken[:workers]:
            for unit, done in _side_by_side([suspect], work, 1):
                yield unit, work.failed(unit, _died(done)) if isinstance(done, BaseException) else done
        waiting = broken[workers:]


def _side_by_side(
    units: Sequence[Unit], work: Work, workers: int
) -> Iterator[tuple[Unit, Done | BaseException]]:
    """Run units in worker processes; an exception in the place of outcomes means that a process died.

    Raises:
        InputError: what became of a cell cannot be written.
    """
    with worker_pool(workers, _start_worker, (work.errand(),)) as pool:
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


def _start_worker(errand: Errand) -> None:
    global _work
    _work = errand.begin()


def _do(unit: Unit) -> Done:
    assert _work is not None
    return Errand.do(_work, unit)
