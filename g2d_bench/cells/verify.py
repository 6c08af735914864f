"""Is what stands in a results folder what was measured? All that can be derived is derived again.

From the record itself, from the predictions beside it, from the other records, from the cards, and from the
data where they are at hand. What cannot be derived is said. A whole record that was made up, predictions
included, is found by none of this: only measuring the cell again proves a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.checks_cards import CardCheck
from g2d_bench.cells.checks_kind import KindCheck
from g2d_bench.cells.checks_split import SplitCheck
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.told import Told, told_by_each
from g2d_bench.errors import InputError
from g2d_bench.plain import counted, visible
from g2d_bench.progress import track
from g2d_bench.records.cell import Cell
from g2d_bench.records.checks import against_predictions, contradictions, unsealed
from g2d_bench.records.checks_peers import Peer, disagreements
from g2d_bench.records.recompute import Facts
from g2d_bench.records.record import Record, read_record
from g2d_bench.records.selection import Found, two_records
from g2d_bench.records.signature import parse_signature
from g2d_bench.records.store import FAILED, Store

NO_SEAL = "digest: the record bears none, as those of older versions"


@dataclass(frozen=True)
class Checked:
    """What was found in a folder.

    Attributes:
        records: files that were looked at.
        metrics: numbers that were computed again.
        unchecked: records without predictions to compute them from.
        failures: records of cells that failed; they hold no number.
        problems: one line each.
        undecided: what could not be checked here and why, one line each, with the number of records.
    """

    records: int
    metrics: int
    unchecked: int
    failures: int
    problems: tuple[str, ...]
    undecided: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{counted(self.records, 'record')}, {counted(self.metrics, 'metric')} computed again"]
        if self.unchecked:
            parts.append(f"{self.unchecked} without predictions, so their metrics could not be checked")
        if self.failures:
            parts.append(counted(self.failures, "failed cell"))
        state = counted(len(self.problems), "problem") if self.problems else "all as recorded"
        return ", ".join([*parts, state])


class Inspection:
    """Collects what is wrong with records, and what cannot be said of them.

    Args:
        settings: where cards and data are.
        data: whether records are held against the data, where these are at hand.
    """

    def __init__(self, settings: Settings, *, data: bool) -> None:
        catalogue = Catalogue.open(settings.task_dirs, settings.encoder_dirs, settings.protocol_dirs)
        self._cards = CardCheck(catalogue)
        self._split = SplitCheck(settings, self._cards) if data else None
        self._kinds = KindCheck(self._split.generated if self._split is not None else None)
        self._peers: list[Peer] = []
        self._problems: dict[str, list[str]] = {}
        self.undecided: Counter[str] = Counter()
        self.metrics = self.unchecked = 0

    def look_at(
        self, found: Sequence[Found], doing: str, *, fresh: bool = False
    ) -> Iterator[tuple[Found, InputError | None]]:
        """Look at records one by one, their predictions read by all processors.

        Args:
            found: records, with their files; one without is passed over. Those that were found by reading a
                folder of results should lie where it keeps them.
            doing: what is shown while it lasts.
            fresh: see :func:`told_by_each`.

        Yields:
            Each record, and why it could not be looked at, if so.
        """
        with closing(told_by_each(found, fresh=fresh)) as told:
            for one in track(found, doing, unit="record"):
                said, failed = next(told), None
                try:
                    if one.path is not None:
                        self._look(one, said)
                except InputError as error:
                    failed = error
                yield one, failed

    def _look(self, found: Found, told: Told | None) -> None:
        record, problems = found.record, list(contradictions(found.record))
        undecided: list[str] = []
        problems += _misplaced(found)
        facts: Facts | None = None
        if record.predictions is None:
            self.unchecked += any(value is not None for value in record.metrics.values())
        else:
            assert found.path is not None
            self.metrics += len(record.metrics)
            if isinstance(told, InputError):
                # The predictions lie beside the record, and its folder has been named.
                problems.append(str(told).removeprefix(visible(f"{found.path.parent}/")))
            else:
                facts = told
        held = [against_predictions(record, facts)] if facts is not None else []
        held.append(self._cards(record, facts))
        if self._split is not None:
            held.append(self._split(record, facts))
        for wrong, unknown in held:
            # One word on a field is enough, the first.
            fields = {_field(line) for line in problems}
            problems += [line for line in wrong if _field(line) not in fields]
            undecided += unknown
        # What was changed is told better by what no longer fits.
        problems += list(unsealed(record)) if not problems else []
        if not record.digest:
            undecided.append(NO_SEAL)
        self._peers.append(Peer(found, facts))
        self.learn([found])
        self._problems.setdefault(found.where, []).extend(problems)
        self.undecided.update(dict.fromkeys(undecided, 1))

    def learn(self, found: Sequence[Found]) -> None:
        """Note of which kind data are by other records, which are not looked at."""
        self._kinds.learn(found)

    def problems(self) -> list[str]:
        """Return a line for all that is wrong, after all records were looked at."""
        # Whoever is wrong already has no say in what others should be.
        sound = [peer for peer in self._peers if not self._problems[peer.found.where]]
        for found, line in (*disagreements(sound), *self._kinds([peer.found for peer in self._peers])):
            self._problems[found.where].append(line)
        return [visible(f"{where}: {line}") for where, lines in self._problems.items() for line in lines]


def _field(line: str) -> str:
    """Return the field of which a line speaks."""
    field, _, rest = line.partition(": ")
    return field if field != "predictions" else f"{field}: {rest.partition(': ')[0]}"


def verify(root: Path, settings: Settings | None = None) -> Checked:
    """Check every record of a folder; a bad one does not stop the others.

    Args:
        root: the folder.
        settings: where cards and data are; by default the shipped cards, and generated data in the cache.

    Raises:
        InputError: no such folder, or no record in it.
    """
    if not root.is_dir():
        raise InputError("no such folder" if not root.exists() else "is not a folder", file=root)
    store = Store(root)
    files = store.files()
    records = [path for path in files if not path.name.endswith(FAILED)]
    if not records:
        raise store.nothing()
    inspection = Inspection(settings or Settings(), data=True)
    unreadable: list[str] = []
    readable: list[Found] = []
    for path in records:
        try:
            readable.append(Found(read_record(path), path, root))
        except InputError as error:
            unreadable.append(str(error))
    looked_at: list[Found] = []
    for found, failed in inspection.look_at(readable, "verifying", fresh=True):
        if failed is not None:
            unreadable.append(str(failed))
        else:
            looked_at.append(found)
    for first, second in _twice(looked_at):
        unreadable.append(visible(f"{second.where}: the cell {second.cell} is also in {first.where}"))
    return Checked(
        len(records),
        inspection.metrics,
        inspection.unchecked,
        len(files) - len(records),
        (*unreadable, *inspection.problems()),
        tuple(visible(f"{count} x {reason}") for reason, count in sorted(inspection.undecided.items())),
    )


def require_sound(found: Sequence[Found], settings: Settings | None = None) -> None:
    """Refuse records that :func:`verify` would refuse, as far as that takes no data.

    What the predictions give is computed once and kept; see :mod:`g2d_bench.records.recompute`.

    Raises:
        InputError: the first that is wrong, and how many more there are.
    """
    inspection = Inspection(settings or Settings(), data=False)
    for _, failed in inspection.look_at(found, "checking records"):
        if failed is not None:
            raise failed
    for first, second in _twice(found):
        raise two_records(first, second)
    problems = inspection.problems()
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}; see `g2d-bench verify`")


def _twice(found: Sequence[Found]) -> Iterator[tuple[Found, Found]]:
    """Yield records of cells that have one of the same signature already, each after that one."""
    seen: dict[tuple[Cell, str], Found] = {}
    for one in found:
        other = seen.setdefault((one.cell, one.record.signature), one)
        if other is not one:
            yield other, one


def _misplaced(found: Found) -> list[str]:
    """Compare what a record says with the place where the store would have put it."""
    parts = parse_signature(found.record.signature)
    if parts is None or found.root is None or found.path is None:
        return []
    place = found.path.relative_to(found.root).parts
    wanted = _place(found.cell, found.record, parts.version)
    if len(place) >= len(wanted) and place[-len(wanted) :] != wanted:
        return [f"lies where {'/'.join(wanted)} was expected"]
    if place[-1] != wanted[-1]:
        return [f"is named otherwise than its cell ({wanted[-1]})"]
    return []


def _place(cell: Cell, record: Record, version: str) -> tuple[str, ...]:
    """Return the last parts of a record's path, as the store chooses them."""
    return Store(Path()).path(cell, kind=record.data.kind, version=version, key=record.key).parts
