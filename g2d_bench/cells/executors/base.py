"""What an executor is, and what it sends to where the work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.run import record_failure
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Standing, Unit
from g2d_bench.cells.units import Done, claimed, name_of
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.kept import Known, known, trust
from g2d_bench.progress import speaking_for


@dataclass(frozen=True)
class Wishes:
    """What a user asks of an executor.

    Attributes:
        jobs: units that are run at the same time; as many as makes sense where None.
        devices: GPUs of this machine to use; all of them where None.
        per_gpu: units that share a GPU.
        address: of a cluster; None for one's own machine, or where the executor knows it.
        options: what only one executor understands, by name.
    """

    jobs: int | None = None
    devices: tuple[str, ...] | None = None
    per_gpu: int = 1
    address: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def require_known(self, executor: str, allowed: tuple[str, ...]) -> None:
        """Refuse options that an executor does not know.

        Raises:
            InputError: there is one.
        """
        for name in self.options:
            if name not in allowed:
                known = did_you_mean(name, allowed) if allowed else "it takes none"
                raise InputError(f"{executor} knows no {name!r}; {known}", field="--executor-option")

    def number(self, name: str, default: float) -> float:
        """Return an option that is a number.

        Raises:
            InputError: it is none, or below zero.
        """
        text = self.options.get(name)
        if text is None:
            return default
        with suppress(ValueError):
            if 0 <= (value := float(text)) < 1e15:
                return value
        raise InputError(f"{name} is {text[:40]!r}, no number", field="--executor-option")


class WorkerDied(RuntimeError):
    """The process of a cell ended without a word."""


@dataclass(frozen=True)
class Work:
    """What is to be done with units of cells.

    Attributes:
        bench: what all cells share.
        standing: what stood in the folder of results when the run began.
    """

    bench: Bench
    standing: Standing

    def do(self, unit: Unit) -> Done:
        """Run a unit in this process; None where another run is at it.

        Raises:
            CannotWrite: what became of a cell cannot be written.
        """
        return claimed(unit, self.bench, self.standing)

    def failed(self, unit: Unit, error: BaseException) -> Done:
        """Note for each cell of a unit that its process ended by an exception, and return these failures."""
        return [record_failure(cell, self.bench, error) for cell in unit]

    def errand(self) -> Errand:
        """Return what another process needs to do the same; an encoder in memory does not travel."""
        return Errand(self.bench.settings, self.bench.options, self.standing, known())


@dataclass(frozen=True)
class Errand:
    """Work, as it travels between processes.

    Attributes:
        settings: where to look and write.
        options: what is allowed.
        standing: what stood in the folder of results when the run began.
        tables: kept tables that were checked; they are not checked again.
    """

    settings: Settings
    options: Options
    standing: Standing
    tables: Known

    def begin(self) -> Work:
        """Open it in the process that does it, once."""
        trust(self.tables)
        return Work(Bench(self.settings, self.options), self.standing)

    @staticmethod
    def do(work: Work, unit: Unit) -> Done:
        """Run a unit in a process of many; the lines that it prints say which it is."""
        with speaking_for(name_of(unit)):
            return work.do(unit)


class Executor(Protocol):
    """Runs units of cells somewhere."""

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run units in any order, the first ones first where it can.

        Args:
            units: what to run; units that leave behind what others need stand first.
            work: does one in this process, or says what another one needs for it.

        Yields:
            Every unit once, as soon as it is through, with what became of its cells: None where another run
            is at it, the failures of :meth:`Work.failed` where its process died again and again. What an
            executor does not write itself must be in ``work.bench.store`` by then.

        Raises:
            InputError: what became of a cell cannot be written, or the executor cannot be had.
        """
        ...
