"""Units on machines that share no folder of results with this one: what goes out, and what comes back.

The machine away keeps what it makes in a folder of its own and sends the bytes of records and predictions;
only this machine writes into the results. It holds the lease of a unit for as long as the unit is out.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from g2d_bench import __version__
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.executors.base import Work, WorkerDied
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Outcome, Unit, lease_path
from g2d_bench.cells.units import Done, attempt, name_of
from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.locks import Lease
from g2d_bench.progress import speaking_for, tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure, Record, prediction_bytes

WINDOW = 256
"""Units that may be out at a time; each keeps a file open, its lease."""


@dataclass(frozen=True)
class Order:
    """What a machine away needs to know; the same for all units of a run.

    Attributes:
        settings: where to look; paths are absolute, and the results' folder is not used.
        options: what is allowed.
        version: of this package.
    """

    settings: Settings
    options: Options
    version: str = __version__

    @classmethod
    def of(cls, bench: Bench) -> Order:
        """Make the order of a run; encoders in memory do not travel."""
        here = bench.settings

        def absolute(paths: Sequence[Path]) -> tuple[Path, ...]:
            return tuple(path.absolute() for path in paths)

        settings = replace(
            here,
            data_root=here.data_root and here.data_root.absolute(),
            task_dirs=absolute(here.task_dirs),
            encoder_dirs=absolute(here.encoder_dirs),
            protocol_dirs=absolute(here.protocol_dirs),
            checkpoints={name: path.absolute() for name, path in here.checkpoints.items()},
            weights_dir=here.weights_dir and here.weights_dir.absolute(),
        )
        return cls(settings, bench.options)

    def lacking(self) -> str:
        """Say in one line what this machine lacks to carry it out; nothing where it lacks nothing."""
        if self.version != __version__:
            return f"has g2d-bench {__version__}; {self.version} is needed"
        settings = self.settings
        needed = [("data root", settings.data_root), ("weights folder", settings.weights_dir)]
        needed += [("cards", path) for path in settings.task_dirs]
        needed += [("cards", path) for path in (*settings.encoder_dirs, *settings.protocol_dirs)]
        needed += [(f"checkpoint of {name}", path) for name, path in settings.checkpoints.items()]
        for what, path in needed:
            if path is not None and not os.access(path, os.R_OK):
                return f"{path}: {what}: not there, or not readable"
        return ""


@dataclass(frozen=True)
class Made:
    """What became of a cell away.

    Attributes:
        key: the record's; empty for a failure.
        record: content of its file, or of the failure's.
        predictions: content of the file beside the record.
    """

    key: str
    record: bytes
    predictions: bytes | None = None


@dataclass(frozen=True)
class Parcel:
    """What a machine sends back.

    Attributes:
        host: its name.
        place: what the executor calls it.
        made: what became of the cells, in their order.
        lacks: why the machine could not begin; empty where it could.
    """

    host: str
    place: str
    made: tuple[Made, ...] = ()
    lacks: str = ""


_last: tuple[Order, Bench] | None = None


def carry_out(order: Order, unit: Unit, place: str = "") -> Parcel:
    """Run a unit on the machine away.

    What is opened for one unit, cards and data, serves the next one of this process.
    """
    global _last
    host = socket.gethostname()
    with speaking_for(name_of(unit)), tempfile.TemporaryDirectory(prefix="g2d-bench-") as folder:
        if lacks := order.lacking():
            return Parcel(host, place, lacks=lacks)
        settings = replace(order.settings, results=Path(folder) / "results")
        known = _last[1] if _last is not None and _last[0] == order else None
        bench = Bench(
            *(settings, order.options),
            catalogue=known.catalogue if known is not None else None,
            source=known.source if known is not None else None,
        )
        _last = (order, bench)
        tell(f"{name_of(unit)}: begun on {host} {place[:8]}".rstrip())
        return Parcel(host, place, tuple(_packed(one, bench) for one in attempt(unit, bench)))


def _packed(outcome: Record | Failure, bench: Bench) -> Made:
    if isinstance(outcome, Failure):
        return Made("", outcome.model_dump_json().encode())
    path = bench.resolve(outcome.cell).path
    arrays = prediction_bytes(path, outcome) if outcome.predictions is not None else None
    return Made(outcome.key, read_regular(path), arrays)


def delivered(unit: Unit, parcel: Parcel, work: Work) -> list[Outcome]:
    """Write what came back into the results.

    Raises:
        InputError: it cannot be written.
    """
    bench, outcomes = work.bench, list[Outcome]()
    for cell, made in zip(unit, parcel.made, strict=True):
        here = bench.resolve(cell)
        if not made.key:
            failure = Failure.model_validate_json(made.record)
            bench.store.fail(bench.store.failure_path(here.path), failure)
            outcomes.append(failure)
        elif made.key != here.key:
            # Under this key it would stand for data that it has not seen.
            reason = InputError(
                f"{parcel.host} has other data or weights under the same paths than this machine"
            )
            outcomes += work.failed((cell,), reason) or []
        else:
            bench.store.take(here.path, made.record, made.predictions)
            record = bench.store.find(here.path, here.key)
            assert record is not None, "it was written just now"
            outcomes.append(record)
    return outcomes


class Sender(Protocol):
    """Brings units to machines away."""

    retries: int
    """How often a unit whose process died is sent again by us; none where the sender does so itself."""

    def send(self, units: Sequence[Unit]) -> Sequence[Hashable]:
        """Begin with units, and return what stands for each of them."""
        ...

    def arrived(self, out: Sequence[Hashable]) -> Sequence[tuple[Hashable, Parcel | BaseException]]:
        """Wait until some are through: a parcel, or the exception with which it ended.

        :class:`WorkerDied` stands for a process or machine that ended without a word. It may return with
        nothing, so that a user can interrupt.
        """
        ...

    def elsewhere(self, parcel: Parcel) -> bool:
        """Leave out the machine that lacks something; say whether another one is left."""
        ...


@dataclass
class _Out:
    """A unit that is out, or about to be.

    Attributes:
        unit: all of it.
        lease: the claim.
        found: what other runs made of its cells meanwhile.
        tries: how often it was sent.
    """

    unit: Unit
    lease: Lease
    found: dict[Cell, Outcome | None]
    tries: int = 0

    @property
    def left(self) -> Unit:
        """The cells to be run."""
        return tuple(cell for cell in self.unit if self.found[cell] is None)

    def whole(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return what became of all cells, given that for those which were run."""
        made = dict(zip(self.left, outcomes, strict=True))
        return [self.found[cell] or made[cell] for cell in self.unit]


def run_away(
    units: Sequence[Unit], work: Work, sender: Sender, window: int = WINDOW
) -> Iterator[tuple[Unit, Done]]:
    """Run units by a sender; see :meth:`~g2d_bench.cells.executors.base.Executor.run`."""
    waiting, ready, out = deque(units), list[_Out](), dict[Hashable, _Out]()
    with ExitStack() as leases:
        while waiting or ready or out:
            # Of many, sent by the handful: schedulers like arrays better than single jobs.
            while (
                waiting
                and len(ready) + len(out) < window
                and (ready or len(out) <= window - max(1, window // 8))
            ):
                unit = waiting.popleft()
                resolved = {cell: work.bench.resolve(cell) for cell in unit}
                lease = Lease.take(lease_path(resolved[unit[0]]))
                if lease is None:
                    yield unit, None
                    continue
                leases.callback(lease.release)
                one = _Out(
                    unit,
                    lease,
                    {cell: work.standing.since(one, work.bench.store) for cell, one in resolved.items()},
                )
                if one.left:
                    ready.append(one)
                else:
                    lease.release()
                    yield unit, one.whole([])
            if ready:
                out |= zip(sender.send([one.left for one in ready]), ready, strict=True)
                ready = []
            for handle, answer in sender.arrived(list(out)) if out else ():
                one = out.pop(handle)
                done = _answered(one, answer, work, sender)
                if done is None:
                    ready.append(one)
                    continue
                one.lease.release()
                yield one.unit, one.whole(done)


def _answered(
    one: _Out, answer: Parcel | BaseException, work: Work, sender: Sender
) -> Sequence[Outcome] | None:
    """Take in what came back; None where the unit is to be sent again."""
    if isinstance(answer, Parcel):
        if not answer.lacks:
            return delivered(one.left, answer, work)
        if sender.elsewhere(answer):
            return None
        answer = InputError(f"{answer.host}: {answer.lacks}")
    if isinstance(answer, WorkerDied) and one.tries < sender.retries:
        one.tries += 1
        tell(f"{name_of(one.unit)}: {answer}; sent once more")
        return None
    return work.failed(one.left, answer)
