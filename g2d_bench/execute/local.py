"""Many cells on this machine: each on its own, failures apart, finished ones skipped."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from g2d_bench.errors import InputError
from g2d_bench.plan import Cell
from g2d_bench.results import Failure, Record
from g2d_bench.run import Bench, Options, record_failure, run_cell, run_cells
from g2d_bench.settings import Settings


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


def execute(cells: Sequence[Cell], bench: Bench, jobs: int | None = None) -> Report:
    """Run what is missing of ``cells``.

    Args:
        cells: the plan.
        bench: opened settings.
        jobs: processes; by default one per core, and one where a GPU is used.

    Returns:
        All records and failures. A failure leaves a failure record and does not stop the others.

    Raises:
        InputError: every cell failed for the same bad input; nothing is left behind.
    """
    found = {cell: bench.finished(cell) for cell in cells}
    missing = [cell for cell, record in found.items() if record is None]
    report = Report(reused=len(cells) - len(missing))
    made: dict[Cell, Record | Failure] = {}
    start = time.monotonic()
    for done, (cell, outcome) in enumerate(_outcomes(missing, bench, jobs), start=1):
        made[cell] = outcome
        _say(cell, outcome, done, len(missing), time.monotonic() - start)
    _raise_common_input_error(list(made.values()), bench)
    for cell, record in found.items():
        outcome = record or made[cell]
        if isinstance(outcome, Record):
            report.records.append(outcome)
        else:
            report.failures.append(outcome)
    return report


def _raise_common_input_error(outcomes: list[Record | Failure], bench: Bench) -> None:
    """Where every cell failed for one and the same bad input, that is the user's to mend, not a result."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.bad_input]
    if failures and len(failures) == len(outcomes) and len({failure.error for failure in failures}) == 1:
        for failure in failures:
            bench.forget(Cell(**failure.cell.model_dump()))
        raise InputError(failures[0].error)


def processes(count: int, jobs: int | None) -> int:
    """Return how many processes run ``count`` cells.

    Cells of small encoders run on one thread each, so a core per cell is right from the second cell on.
    """
    if jobs is not None:
        return max(1, min(jobs, count))
    if _gpu():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, count))


def _gpu() -> bool:
    """Say whether a GPU is there without paying for torch's import where none can be."""
    return Path("/dev/nvidia0").exists()


Unit = tuple[Cell, ...]
"""Cells that one process runs together."""


def units(cells: Sequence[Cell], bench: Bench) -> list[Unit]:
    """Group the cells that are cheaper together; the others stay alone. Order is that of the first cells."""
    from g2d_bench.adapters.base import together

    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        tasks, protocols = bench.catalogue.tasks, bench.catalogue.protocols
        shared = together(tasks[cell.task], protocols[cell.protocol])
        key = (cell.task, cell.encoder, cell.protocol) if shared else (cell,)
        groups.setdefault(key, []).append(cell)
    return [tuple(group) for group in groups.values()]


def _outcomes(
    cells: Sequence[Cell], bench: Bench, jobs: int | None
) -> Iterator[tuple[Cell, Record | Failure]]:
    work = units(cells, bench)
    workers = processes(len(work), jobs)
    if workers == 1:
        for unit in work:
            yield from zip(unit, _attempt(unit, bench), strict=True)
        return
    for cell in cells:
        # Shared caches are filled once, here, and not by several workers at a time. Bad data is reported
        # by the cells that need them.
        with contextlib.suppress(InputError):
            bench.prepare(cell)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(bench.settings, bench.options),
    ) as pool:
        futures = {pool.submit(_work, unit): unit for unit in work}
        for future in as_completed(futures):
            unit = futures[future]
            error = future.exception()
            # A worker that died (out of memory, killed) breaks the pool; its cells fail, with the reason.
            done = [record_failure(cell, bench, error) for cell in unit] if error else future.result()
            yield from zip(unit, done, strict=True)


_worker: Bench | None = None


def _start_worker(settings: Settings, options: Options) -> None:
    global _worker
    _worker = Bench(settings, options)


def _work(unit: Unit) -> Sequence[Record | Failure]:
    assert _worker is not None
    return _attempt(unit, _worker)


def _attempt(unit: Unit, bench: Bench) -> Sequence[Record | Failure]:
    """Run a unit; where anything in it fails, each cell alone, so that the others do not fail with it."""
    if len(unit) > 1:
        with contextlib.suppress(Exception):
            return run_cells(unit, bench)
    return [_attempt_one(cell, bench) for cell in unit]


def _attempt_one(cell: Cell, bench: Bench) -> Record | Failure:
    try:
        return run_cell(cell, bench)
    except Exception as error:
        return record_failure(cell, bench, error)


def _say(cell: Cell, outcome: Record | Failure, done: int, total: int, seconds: float) -> None:
    left = seconds / done * (total - done)
    state = _state(outcome.notes) if isinstance(outcome, Record) else f"FAILED: {outcome.error}"
    eta = f", about {left:.0f} s left" if done < total else f", {seconds:.0f} s in all"
    print(f"[{done}/{total}{eta}] {cell}: {state}", file=sys.stderr, flush=True)


def _state(notes: dict[str, Any]) -> str:
    return f"n/a: {notes['n/a']}" if "n/a" in notes else "done"
