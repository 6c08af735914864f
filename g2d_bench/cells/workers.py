"""Many cells on this machine: each on its own, failures apart, finished ones skipped."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from g2d_bench.cards.kind import KINDS
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.run import record_failure, run_cell, run_cells
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Elsewhere, Outcome, Standing, freed, lease_path
from g2d_bench.cells.sharing import Unit as Unit
from g2d_bench.errors import InputError
from g2d_bench.files import MACHINE, CannotWrite, machine_error
from g2d_bench.kept import Known, known, trust
from g2d_bench.locks import Lease
from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
from g2d_bench.progress import clock, speaking_for, tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast, costs
from g2d_bench.records.record import Failure, Record


@dataclass
class Report:
    """What became of the cells.

    Attributes:
        records: finished cells, in the order of the plan.
        failures: cells that raised.
        reused: how many of the records were there before.
    """

    records: list[Record] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: int = 0


class Stopped(InputError):
    """A run that had to end early.

    Args:
        reason: why.
        report: what was done until then.
    """

    def __init__(self, reason: InputError, report: Report) -> None:
        super().__init__(str(reason))
        self.report = report


def execute(
    cells: Sequence[Cell], bench: Bench, jobs: int | None = None, forecast: Forecast | None = None
) -> Report:
    """Run what is missing of ``cells``.

    Args:
        cells: the plan.
        bench: opened settings.
        jobs: processes; by default one per core, and one where a GPU is used.
        forecast: what is known of how long cells take; what is found or finished here is added.

    Returns:
        All records and failures. A failure leaves a failure record and does not stop the others.

    Raises:
        InputError: all cells failed for bad input, or no record can be written; nothing is left behind.
        Stopped: records could no longer be written, as on a full disk.
    """
    bench.store.require_writable()
    bench.store.sweep()
    found: dict[Cell, Record | Failure | None] = {}
    unreadable: Counter[str] = Counter()
    for cell in cells:
        try:
            found[cell] = bench.finished(cell)
        except InputError as reason:
            # Its data or weights cannot be read, so there is nothing to start.
            found[cell] = record_failure(cell, bench, reason)
            unreadable[str(reason)] += 1
    missing = [cell for cell, outcome in found.items() if outcome is None]
    report = Report(reused=sum(isinstance(outcome, Record) for outcome in found.values()))
    if missing or report.reused or len(unreadable) > 1:
        for error, count in unreadable.items():
            tell(f"{count} cell{'s' if count > 1 else ''} FAILED: {error}")
    forecast = forecast or Forecast(cost=costs(bench.catalogue))
    for before in found.values():
        if isinstance(before, Record):
            forecast.learn(before)
    countdown = _Countdown(missing, forecast)
    stop: InputError | None = None
    try:
        for cell, out in _outcomes(missing, bench, jobs):
            outcome = out.outcome if isinstance(out, Elsewhere) else out
            found[cell] = outcome
            countdown.take(cell, outcome)
            # The one thing that went wrong is said at the end, once.
            if len(cells) > 1 or isinstance(outcome, Record) or not outcome.bad_input:
                _say(cell, outcome, str(countdown), elsewhere=outcome is not out)
    except InputError as error:
        stop = error
    for final in found.values():
        if isinstance(final, Record):
            report.records.append(final)
        elif final is not None:
            report.failures.append(final)
    if stop is not None:
        raise Stopped(stop, report)
    _raise_common_input_error(report, bench)
    return report


class _Countdown:
    """How many cells of a run are through, and how long the rest may take."""

    def __init__(self, cells: Sequence[Cell], forecast: Forecast) -> None:
        self._total, self._todo, self._done = len(cells), set(cells), list[Cell]()
        self._forecast, self._start = forecast, time.monotonic()

    def take(self, cell: Cell, outcome: Record | Failure) -> None:
        """Note that a cell is through; one that failed says nothing about time."""
        self._todo.remove(cell)
        if isinstance(outcome, Record):
            self._forecast.learn(outcome)
            self._done.append(cell)

    def __str__(self) -> str:
        count, elapsed = f"{self._total - len(self._todo)}/{self._total}", time.monotonic() - self._start
        if not self._todo:
            return f"{count}, {clock(elapsed)} in all"
        left = self._forecast.left(self._todo, self._done, elapsed)
        return count if left is None else f"{count}, about {clock(left)} left"


def _raise_common_input_error(report: Report, bench: Bench) -> None:
    """Where nothing came out but bad input, that is the user's to mend, not a result."""
    failures = report.failures
    if report.records or not failures or not all(failure.bad_input for failure in failures):
        return
    for failure in failures:
        bench.forget(failure.cell)
    errors = list(dict.fromkeys(failure.error for failure in failures))
    others = f" (and {len(errors) - 1} more, see above)" if len(errors) > 1 else ""
    raise InputError(errors[0] + others)


def processes(count: int, jobs: int | None) -> int:
    """Return how many processes run ``count`` cells.

    Cells of small encoders run on one thread each, so a core per cell is right from the second cell on.
    """
    if jobs is not None:
        return max(1, min(jobs, count))
    if _gpu():
        return 1
    return max(1, min(cores(), count))


def _gpu() -> bool:
    """Say whether a GPU is used without paying for torch's import where none can be."""
    return os.environ.get("G2D_BENCH_DEVICE") != "cpu" and Path("/dev/nvidia0").exists()


def units(cells: Sequence[Cell], bench: Bench) -> list[Unit]:
    """Group the cells that are cheaper together; the others stay alone.

    Order is that of the first cells, but for the kinds that keep what a frozen encoder gives, the most of it
    first (cells, vectors, pooled features): each finds the features that those before it computed, so that
    an image passes an encoder once.
    """
    tasks, protocols = bench.catalogue.tasks, bench.catalogue.protocols
    groups: dict[tuple[object, ...], list[Cell]] = {}
    ranks: dict[tuple[object, ...], int] = {}
    for cell in cells:
        task = tasks[cell.task]
        kind = KINDS[task.kind]
        shared = kind.together(task, protocols[cell.protocol])
        key = (cell.task, cell.encoder, cell.protocol) if shared else (cell,)
        groups.setdefault(key, []).append(cell)
        early = kind.early if shared or not kind.trained else None
        ranks[key] = sys.maxsize if early is None else early
    return [tuple(groups[key]) for key in sorted(groups, key=ranks.__getitem__)]


Done = Sequence[Outcome] | None
"""What became of the cells of a unit; None where another run is at them."""


def _outcomes(cells: Sequence[Cell], bench: Bench, jobs: int | None) -> Iterator[tuple[Cell, Outcome]]:
    standing = Standing.of(cells, bench)
    waiting = units(cells, bench)
    workers = processes(len(waiting), jobs)
    if workers > 1:
        for cell in cells:
            # Shared caches are filled once, here, and not by several workers at a time. Bad data is reported
            # by the cells that need them.
            with contextlib.suppress(InputError):
                bench.resolve(cell).fill_caches()
    while waiting:
        busy: list[Unit] = []
        for unit, done in _once(waiting, bench, workers, standing):
            if done is None:
                busy.append(unit)
            else:
                yield from zip(unit, done, strict=True)
        waiting = []
        # What other runs are at is left to the end, and taken over if they end without having done it.
        while busy and not waiting:
            for unit, done in list(freed(busy, bench, standing)):
                busy.remove(unit)
                if done is None:
                    waiting.append(unit)
                else:
                    yield from zip(unit, done, strict=True)
        waiting += busy


def _once(work: list[Unit], bench: Bench, workers: int, standing: Standing) -> Iterator[tuple[Unit, Done]]:
    """Go through units, leaving out those that other runs are at."""
    if workers == 1:
        for unit in work:
            yield unit, _claimed(unit, bench, standing)
        return
    waiting = work
    while waiting:
        broken: list[Unit] = []
        for unit, done in _side_by_side(waiting, bench, min(workers, len(waiting)), standing):
            if isinstance(done, BaseException):
                broken.append(unit)
            else:
                yield unit, done
        # A killed worker takes the pool with it. Work goes out in order, so the culprit is one of the first
        # that are not done: each of these gets a pool of its own, in which only a culprit fails again.
        broken.sort(key=work.index)
        for suspect in broken[:workers]:
            for unit, done in _side_by_side([suspect], bench, 1, standing):
                if isinstance(done, BaseException):
                    yield unit, [record_failure(cell, bench, _died(done)) for cell in unit]
                else:
                    yield unit, done
        waiting = broken[workers:]


def _side_by_side(
    work: Sequence[Unit], bench: Bench, workers: int, standing: Standing
) -> Iterator[tuple[Unit, Done | BaseException]]:
    """Run units in worker processes; an exception in the place of outcomes means that a process died.

    Raises:
        InputError: what became of a cell cannot be written.
    """
    with worker_pool(workers, _start_worker, (bench.settings, bench.options, standing, known())) as pool:
        with deaf_to_interrupts():
            futures = {pool.submit(_work, unit): unit for unit in work}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, InputError):
                raise error
            yield futures[future], error if error is not None else future.result()


class WorkerDied(RuntimeError):
    """The process of a cell ended without a word."""


def _died(error: BaseException) -> BaseException:
    if not isinstance(error, BrokenProcessPool):
        return error
    return WorkerDied("its process was killed, as happens when memory runs out (--jobs 1 needs the least)")


_worker: tuple[Bench, Standing] | None = None


def _start_worker(settings: Settings, options: Options, standing: Standing, tables: Known) -> None:
    global _worker
    _worker = Bench(settings, options), standing
    trust(tables)


def _work(unit: Unit) -> Done:
    assert _worker is not None
    with speaking_for(_name(unit)):
        return _claimed(unit, *_worker)


def _name(unit: Unit) -> str:
    first = unit[0]
    alone = f" · {first.amount} · seed {first.seed}" if len(unit) == 1 else ""
    return f"{first.task} · {first.encoder}{alone}"


def _claimed(unit: Unit, bench: Bench, standing: Standing) -> Done:
    """Run what is left to do of a unit, unless another run is at it."""
    lease = Lease.take(lease_path(unit, bench))
    if lease is None:
        return None
    with lease:
        found = {cell: standing.since(cell, bench) for cell in unit}
        left = tuple(cell for cell, outcome in found.items() if outcome is None)
        made = dict(zip(left, _attempt(left, bench), strict=True)) if left else {}
        return [found[cell] or made[cell] for cell in unit]


def _attempt(unit: Unit, bench: Bench) -> Sequence[Record | Failure]:
    """Run a unit; where anything in it fails, each cell alone, so that the others do not fail with it."""
    if len(unit) > 1:
        try:
            return run_cells([bench.resolve(cell) for cell in unit], bench.store, bench.options)
        except CannotWrite as error:
            _stop_if_of_results(error, bench)
        except InputError:
            pass  # Said by the cells that it is about.
        except Exception as error:
            what = (str(error).splitlines() or [""])[0]
            tell(
                f"{_name(unit)}: {len(unit)} cells together: {type(error).__name__}: {what}; tried one by one"
            )
    return [_attempt_one(cell, bench) for cell in unit]


def _attempt_one(cell: Cell, bench: Bench) -> Record | Failure:
    try:
        return run_cell(bench.resolve(cell), bench.store, bench.options)
    except CannotWrite as error:
        _stop_if_of_results(error, bench)
        return record_failure(cell, bench, error)
    except OSError as error:
        # A full disk, a folder without permission: the user's to mend.
        mendable = error.errno in MACHINE
        return record_failure(cell, bench, machine_error(error) if mendable else error)
    except Exception as error:
        return record_failure(cell, bench, error)


def _stop_if_of_results(error: CannotWrite, bench: Bench) -> None:
    """End the run where records cannot be written: what is computed from here on would be lost, too."""
    if error.path.is_relative_to(bench.store.root):
        raise error


def _say(cell: Cell, outcome: Record | Failure, when: str, *, elsewhere: bool) -> None:
    state = _state(outcome.notes) if isinstance(outcome, Record) else f"FAILED: {outcome.error}"
    state += " (another run)" if elsewhere else ""
    tell(f"[{when}] {cell}: {state}")


def _state(notes: dict[str, Any]) -> str:
    if "n/a" in notes:
        return f"n/a: {notes['n/a']}"
    return f"done; WARNING: {nothing}" if (nothing := notes.get("predicts_nothing")) else "done"
