"""Records of several folders in one: what was measured on machines that share no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import Inspection
from g2d_bench.errors import InputError
from g2d_bench.files import write_atomically
from g2d_bench.plain import visible
from g2d_bench.progress import track
from g2d_bench.records.record import LARGEST_RECORD, Record, prediction_bytes, read_failure, read_record
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import parse_signature
from g2d_bench.records.store import FAILED, Store
from g2d_bench.safe_files import read_strangers


@dataclass
class Merged:
    """What a merge did, or what keeps it from being done.

    Attributes:
        copied: records that are new in the target.
        same: records that were there already, or in an earlier folder, with the same numbers.
        completed: those of them whose earlier copy had no predictions, so that the later one was taken.
        failures: failed cells that are new in the target.
        conflicts: two records of one key with different numbers, one line each.
        problems: records that are not what was measured, one line each.
    """

    copied: int = 0
    same: int = 0
    completed: int = 0
    failures: int = 0
    conflicts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.problems or self.conflicts:
            wrong = f"{len(self.problems)} bad records, {len(self.conflicts)} conflicts"
            return f"{wrong}; nothing was written"
        got = f" ({self.completed} without predictions got theirs)" if self.completed else ""
        return f"{self.copied} records new, {self.same} there already{got}, {self.failures} failed cells new"


def merge(sources: Sequence[Path], into: Path, settings: Settings | None = None) -> Merged:
    """Copy the records of some folders into one, by key.

    Everything is read and checked before anything is written. A record that was measured twice with the same
    numbers is kept as it stands in the target, or in the first folder that has it; where that copy has no
    predictions, in the first that has it with them. Files are copied as they are, predictions before their
    record, each written whole or not at all: a merge that was cut short goes on when it is called again.

    Args:
        sources: folders of records.
        into: folder that takes them; it may be new, and one of the sources.
        settings: where own cards are.

    Returns:
        What was done; nothing where there are conflicts or problems.

    Raises:
        InputError: a folder is none or holds no record, or the target cannot be written.
    """
    store, merged = Store(into), Merged()
    store.require_writable()
    there = _keyed(into, settings, merged) if into.exists() else {}
    new: dict[Path, Found] = {}
    for source in sources:
        if not source.is_dir():
            raise InputError("no such folder" if not source.exists() else "is not a folder", file=source)
        if not Store(source).files():
            raise Store(source).nothing()
        for place, found in _keyed(source, settings, merged).items():
            other = new.get(place) or there.get(place)
            if other is None:
                new[place] = found
            elif line := _difference(other, found):
                merged.conflicts.append(line)
            else:
                merged.same += 1
                if _completes(found, other):
                    merged.completed += 1
                    new[place] = found
    if merged.problems or merged.conflicts:
        return merged
    for place, found in track(new.items(), "merging", unit="record"):
        before = there.get(place)
        _copy(found, into / place if before is None or before.path is None else before.path)
        merged.copied += before is None
    merged.failures = _failures(sources, store, {**there, **new})
    return merged


def _keyed(root: Path, settings: Settings | None, merged: Merged) -> dict[Path, Found]:
    """Read and check all records of a folder, by the place that a store gives them."""
    inspection = Inspection(settings or Settings(), data=False)
    readable: list[Found] = []
    for path in [path for path in Store(root).files() if not path.name.endswith(FAILED)]:
        try:
            readable.append(Found(read_record(path), path))
        except InputError as error:
            merged.problems.append(str(error))
    found: dict[Path, Found] = {}
    for one, failed in inspection.look_at(readable, f"checking {root}"):
        try:
            if failed is not None:
                raise failed
            place = _place(one)
        except InputError as error:
            merged.problems.append(str(error))
            continue
        first = found.setdefault(place, one)
        if first is one:
            continue
        if line := _difference(first, one):
            merged.conflicts.append(line)
        elif _completes(one, first):
            found[place] = one
    merged.problems += inspection.problems()
    return found


def _place(found: Found) -> Path:
    record = found.record
    parts = parse_signature(record.signature)
    if parts is None:
        raise InputError("names no version of its task", file=found.path, field="signature")
    return Store(Path()).path(record.cell, kind=record.data.kind, version=parts.version, key=record.key)


def _difference(one: Found, other: Found) -> str:
    """Say in what two records of one place differ; nothing where their numbers are the same."""
    first, second = one.record, other.record
    if first.key != second.key:
        what = f"keys {first.key} and {second.key}, which begin alike"
    elif first.signature != second.signature:
        what = f"signature {first.signature} and {second.signature}"
    elif first.metrics != second.metrics:
        name = next(
            name
            for name in (*first.metrics, *second.metrics)
            if first.metrics.get(name) != second.metrics.get(name)
        )
        what = f"{name} {_shown(first, name)} and {_shown(second, name)}"
    elif first.predictions and second.predictions and first.predictions.sha256 != second.predictions.sha256:
        what = "the same metrics of different predictions"
    else:
        return ""
    return visible(f"{one.cell} (key {first.key[:8]}): {what}: {one.where}, {other.where}")


def _completes(one: Found, other: Found) -> bool:
    """Say whether a record has the predictions that another of the same numbers lacks."""
    return one.record.predictions is not None and other.record.predictions is None


def _shown(record: Record, name: str) -> str:
    value = record.metrics.get(name)
    return "undefined" if value is None else f"{value:.6g}"


def _copy(found: Found, path: Path) -> None:
    """Write a record and its predictions as they are."""
    assert found.path is not None
    kept = found.record.predictions
    if kept is not None:
        write_atomically(path.with_name(kept.file), prediction_bytes(found.path, found.record))
    write_atomically(path, read_strangers(found.path, LARGEST_RECORD))
    Store.failure_path(path).unlink(missing_ok=True)


def _failures(sources: Sequence[Path], store: Store, records: dict[Path, Found]) -> int:
    """Copy the failures of cells that no folder has a record of; the latest where there are several."""
    done = {Store.failure_path(place) for place in records}
    count = 0
    for source in sources:
        for path in Store(source).files():
            # Failures lie where the store put them: all that they say of their place is the cell.
            place = path.relative_to(source)
            if not path.name.endswith(FAILED) or place in done or len(place.parts) < 5:
                continue
            target = store.root / place
            failure = read_failure(path)
            before = read_failure(target) if target.exists() else None
            if failure is not None and (before is None or before.created < failure.created):
                write_atomically(target, read_strangers(path, LARGEST_RECORD))
                count += 1
    return count
