"""Many cells: failures apart, finished ones skipped, a countdown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from g2d_bench.cells.amended import asked_of, bring_up_to_date
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors import DEFAULT, EXECUTORS
from g2d_bench.cells.executors.base import Executor, Wishes, Work
from g2d_bench.cells.regrouped import regroup
from g2d_bench.cells.resolve import Resolved
from g2d_bench.cells.rivals import rivals
from g2d_bench.cells.run import record_failure
from g2d_bench.cells.sharing import Elsewhere, Outcome, Standing, Unit, freed
from g2d_bench.cells.units import units
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.progress import clock, tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast, costs
from g2d_bench.records.record import Failure, Record
from g2d_bench.records.selection import Found


@dataclass
class Report:
    """What became of the cells.

    Attributes:
        found: finished cells with their files, in the order of the plan.
        failures: cells that raised.
        reused: how many of the records were there before.
    """

    found: list[Found] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: int = 0

    @property
    def records(self) -> list[Record]:
        """The records alone."""
        return [one.record for one in self.found]


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
    cells: Sequence[Cell],
    bench: Bench,
    jobs: int | None = None,
    forecast: Forecast | None = None,
    executor: Executor | None = None,
    watch: Callable[[Record], None] | None = None,
) -> Report:
    """Run what is missing of ``cells``.

    Args:
        cells: the plan.
        bench: opened settings.
        jobs: processes on this machine; by default one per core, or one for each GPU where there are some.
        forecast: what is known of how long cells take; what is found or finished here is added.
        executor: where units are run; by default on this machine.
        watch: is told every record as soon as it is made, here or by another run.

    Returns:
        All records and failures. A failure leaves a failure record and does not stop the others.

    Raises:
        InputError: all cells failed for bad input, or no record can be written; nothing is left behind.
        Stopped: records could no longer be written, as on a full disk.
    """
    executor = executor or EXECUTORS[DEFAULT](Wishes(jobs))
    bench.store.require_writable()
    bench.store.sweep()
    found: dict[Cell, Record | Failure | None] = {}
    resolved: dict[Cell, Resolved] = {}
    unreadable: Counter[str] = Counter()
    for cell in cells:
        try:
            here = bench.resolve(cell)
            found[cell] = bench.finished(here)
            resolved[cell] = here
        except InputError as reason:
            # Its data or weights cannot be read, so there is nothing to start.
            found[cell] = record_failure(cell, bench, reason)
            unreadable[str(reason)] += 1
    missing = [cell for cell, outcome in found.items() if outcome is None]
    for line in rivals(resolved.values(), bench.store.root):
        tell(line)
    finished = [(resolved[cell], one) for cell, one in found.items() if isinstance(one, Record)]
    amended, lines = bring_up_to_date(finished, bench.store)
    found |= amended
    regrouped, more = regroup([(one, amended.get(one.cell, record)) for one, record in finished], bench.store)
    found |= regrouped
    for line in (*lines, *more, *asked_of({one.card.name: one.card for one in resolved.values()})):
        tell(line)
    report = Report(reused=sum(isinstance(outcome, Record) for outcome in found.values()))
    if missing or report.reused or len(unreadable) > 1:
        for error, count in unreadable.items():
            tell(f"{counted(count, 'cell')} FAILED: {error}")
    forecast = forecast or Forecast(cost=costs(bench.catalogue))
    for before in found.values():
        if isinstance(before, Record):
            forecast.learn(before)
    countdown = _Countdown(missing, forecast)

    def take(cell: Cell, outcome: Record | Failure, *, elsewhere: bool = False) -> None:
        found[cell] = outcome
        countdown.take(cell, outcome)
        if watch is not None and isinstance(outcome, Record):
            watch(outcome)
        # The one thing that went wrong is said at the end, once.
        if len(cells) > 1 or isinstance(outcome, Record) or not outcome.bad_input:
            _say(cell, outcome, str(countdown), elsewhere=elsewhere)

    stop: InputError | None = None
    work = Work(bench, Standing.of([resolved[cell] for cell in missing], bench.store))
    try:
        for cell, out in _outcomes([resolved[cell] for cell in missing], work, executor):
            if isinstance(out, Elsewhere):
                take(cell, out.outcome, elsewhere=True)
            else:
                take(cell, out)
    except InputError as error:
        stop = error
        # A unit that could not write its last cell has written those before.
        for cell in missing:
            written = work.standing.since(resolved[cell], bench.store) if found[cell] is None else None
            if written is not None:
                # Whoever watches may be what ended the run.
                with suppress(InputError):
                    take(cell, written.outcome)
    for cell, final in found.items():
        if isinstance(final, Record):
            report.found.append(Found(final, resolved[cell].path))
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
    if report.found or not failures or not all(failure.bad_input for failure in failures):
        return
    for failure in failures:
        bench.forget(failure.cell)
    errors = list(dict.fromkeys(failure.error for failure in failures))
    others = f" (and {len(errors) - 1} more, see above)" if len(errors) > 1 else ""
    raise InputError(errors[0] + others)


def _outcomes(cells: Sequence[Resolved], work: Work, executor: Executor) -> Iterator[tuple[Cell, Outcome]]:
    resolved, bench = {cell.cell: cell for cell in cells}, work.bench
    waiting = units(list(resolved), bench)
    while waiting:
        busy: list[Unit] = []
        for unit, done in executor.run(waiting, work):
            if done is None:
                busy.append(unit)
            else:
                yield from zip(unit, done, strict=True)
        waiting = []
        # What other runs are at is left to the end, and taken over if they end without having done it.
        while busy and not waiting:
            for unit, done in list(freed(busy, resolved, bench.store, work.standing)):
                busy.remove(unit)
                if done is None:
                    waiting.append(unit)
                else:
                    yield from zip(unit, done, strict=True)
        waiting += busy


def _say(cell: Cell, outcome: Record | Failure, when: str, *, elsewhere: bool) -> None:
    state = _state(outcome.notes) if isinstance(outcome, Record) else f"FAILED: {outcome.error}"
    state += " (another run)" if elsewhere else ""
    tell(f"[{when}] {cell}: {state}")


def _state(notes: dict[str, Any]) -> str:
    if "n/a" in notes:
        return f"n/a: {notes['n/a']}"
    return f"done; WARNING: {nothing}" if (nothing := notes.get("predicts_nothing")) else "done"
