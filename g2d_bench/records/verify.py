"""Is what stands in a results folder what was measured? Schema, hashes, names, metrics computed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import differences, recomputed
from g2d_bench.records.record import Record, read_predictions, read_record
from g2d_bench.records.selection import Found
from g2d_bench.records.store import FAILED, Store


@dataclass(frozen=True)
class Checked:
    """What was found in a folder.

    Attributes:
        records: files that were looked at.
        metrics: numbers that were computed again.
        unchecked: records without predictions to compute them from.
        failures: records of cells that failed; they hold no number.
        problems: one line each.
    """

    records: int
    metrics: int
    unchecked: int
    failures: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.records} records, {self.metrics} metrics computed again"]
        if self.unchecked:
            parts.append(f"{self.unchecked} without predictions, so their metrics could not be checked")
        if self.failures:
            parts.append(f"{self.failures} failed cells")
        wrong = len(self.problems)
        state = f"{wrong} problem{'s' if wrong > 1 else ''}" if wrong else "all as recorded"
        return ", ".join([*parts, state])


def verify(root: Path) -> Checked:
    """Check every record of a folder; a bad one does not stop the others.

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
    problems: list[str] = []
    metrics = unchecked = 0
    seen: dict[tuple[Cell, str], Path] = {}
    for path in records:
        try:
            record = read_record(path)
        except InputError as error:
            problems.append(str(error))
            continue
        found = Found(record, path)
        problems += [f"{path}: {line}" for line in _inconsistent(found, root)]
        other = seen.setdefault((found.cell, record.signature), path)
        if other != path:
            problems.append(f"{path}: the cell {found.cell} is also in {other}")
        if record.predictions is None:
            unchecked += any(value is not None for value in record.metrics.values())
            continue
        metrics += len(record.metrics)
        problems += _recomputed(found)
    return Checked(len(records), metrics, unchecked, len(files) - len(records), tuple(problems))


def _recomputed(found: Found) -> list[str]:
    assert found.path is not None
    try:
        moved = differences(found, recomputed(found, read_predictions(found.path, found.record)))
    except InputError as error:
        return [str(error)]
    except Exception as error:  # An archive that cannot be unpacked raises whatever numpy and zlib raise.
        return [f"{found.path}: predictions: cannot be read ({type(error).__name__}: {error})"]
    return [
        f"{found.path}: metrics.{metric}: says {stated:.6g}, the predictions give {again:.6g}, "
        f"edited by {stated - again:+.6g}"
        for metric, stated, again in moved
    ]


def _inconsistent(found: Found, root: Path) -> Iterator[str]:
    """Compare what a record says twice: in its fields, its signature and its place."""
    record = found.record
    task, data, split, protocol, *_ = [*record.signature.split("|"), "", "", "", ""]
    version = task.partition("#")[0].partition("@")[2]
    for part, field, wanted in (
        (task, "cell.task", f"{record.cell.task}@"),
        (data, "data.kind", f"{record.data.kind}:{record.data.dataset}#"),
        (data.partition("#")[2], "data.hash", record.data.hash[:8]),
        (split.partition("#")[2], "data.split_hash", record.data.split_hash[:8]),
        (protocol, "cell.protocol", f"{record.cell.protocol}@"),
    ):
        if not part.startswith(wanted):
            yield f"{field}: {wanted!r} does not agree with the signature ({part!r})"
    assert found.path is not None
    place = found.path.relative_to(root).parts
    wanted_place = _place(found.cell, record, version)
    if len(place) >= len(wanted_place) and place[-len(wanted_place) :] != wanted_place:
        yield f"lies where {'/'.join(wanted_place)} was expected"
    elif place[-1] != wanted_place[-1]:
        yield f"is named otherwise than its cell ({wanted_place[-1]})"


def _place(cell: Cell, record: Record, version: str) -> tuple[str, ...]:
    """Return the last parts of a record's path, as the store chooses them."""
    return Store(Path()).path(cell, kind=record.data.kind, version=version, key=record.key).parts
