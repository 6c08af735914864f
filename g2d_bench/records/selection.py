"""Which records of a results folder a command looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from g2d_bench.cards.kind import untrained
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.records.cell import Cell, percent
from g2d_bench.records.record import Record, changes
from g2d_bench.records.signature import parse_signature
from g2d_bench.records.store import Store

DRAWN = ("fraction", "shots", "seed")
"""Options that mean nothing to cells that train nothing."""


@dataclass(frozen=True)
class Found:
    """A record and where it was found.

    Attributes:
        record: what stands there.
        path: the file; None for a record that is not written.
        root: the folder of results that was read, in which files have certain places; None where it was not
            found by reading one.
    """

    record: Record
    path: Path | None = None
    root: Path | None = field(default=None, compare=False)

    @property
    def cell(self) -> Cell:
        """The record's cell."""
        return self.record.cell

    @property
    def where(self) -> str:
        """The file, or the key of a record without one."""
        return str(self.path) if self.path is not None else f"key {self.record.key[:8]}"


@dataclass(frozen=True)
class Filter:
    """What to look at; an empty field lets everything pass.

    Cells of kinds that train nothing pass any fraction and seed: neither moves their numbers, and `run`
    includes them whatever it is given.

    Attributes:
        task: task names.
        encoder: encoder names, ``+decoder`` included.
        fraction: shares of the labels.
        shots: training images per class. With both, cells of either pass; with one of them, those of the
            other do not.
        protocol: protocol names.
        seed: seeds.
        signature: text that the signature must contain.
    """

    task: tuple[str, ...] = ()
    encoder: tuple[str, ...] = ()
    fraction: tuple[float, ...] = ()
    protocol: tuple[str, ...] = ()
    seed: tuple[int, ...] = ()
    shots: tuple[int, ...] = ()
    signature: str = ""

    def passes(self, record: Record) -> bool:
        """Say whether a record passes."""
        return self.signature in record.signature and self.takes(record.cell, record.kind)

    def takes(self, cell: Cell, kind: str) -> bool:
        """Say whether a cell of a task of some kind passes, whatever the signature of its record."""
        drawn = untrained(kind) or not (self.fraction or self.shots) or self._draws(cell)
        return drawn and all(
            not wanted or getattr(cell, name) in wanted
            for name, wanted in self._wanted()
            if name not in AMOUNT and not (name in DRAWN and untrained(kind))
        )

    def _draws(self, cell: Cell) -> bool:
        return cell.shots in self.shots if cell.shots else cell.fraction in self.fraction

    def _wanted(self) -> list[tuple[str, Sequence[object]]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "signature"]

    def explain(self, records: Sequence[Found], root: Path) -> InputError:
        """Say why no record passed: the first wanted word that no record has."""
        if word := self.unmatched(_kinds(records)):
            name, reason = word
            return InputError(f"no record of {reason}", file=root, field=f"--{name}")
        if self.signature and not any(self.signature in found.record.signature for found in records):
            return InputError(f"no signature contains {self.signature!r}", file=root, field="--signature")
        return InputError("no record passes all filters together", file=root)

    def unmatched(self, cells: Sequence[Placed], *, every: bool = False) -> tuple[str, str] | None:
        """Return an option and its first word that no cell has, with what is there.

        Args:
            cells: that are there, with the kinds of their tasks.
            every: whether each word must be there, or one of an option's words is enough.
        """
        for name, wanted in self._wanted():
            words = _lacking(name, wanted, cells)
            if words and (every or len(words) == len(wanted)):
                return name, words[0]
        return None

    def lacking(self, records: Sequence[Found]) -> list[str]:
        """Say of each wanted word that no record has it; where others have one, a command goes on without."""
        cells = _kinds(records)
        return [
            f"--{name}: no record of {word}"
            for name, wanted in self._wanted()
            for word in _lacking(name, wanted, cells)
        ]


AMOUNT = ("fraction", "shots")
"""Options of which one chooses how training images are drawn."""

Placed = tuple[Cell, str]
"""A cell and the kind of its task."""


def _kinds(records: Iterable[Found]) -> list[Placed]:
    return [(found.record.cell, found.record.kind) for found in records]


def _lacking(name: str, wanted: Sequence[object], cells: Sequence[Placed]) -> list[str]:
    """Return an option's words that no cell has, each with what is there."""
    asked = [cell for cell, kind in cells if not (name in DRAWN and untrained(kind))]
    if cells and not asked:
        return []
    if name in AMOUNT:
        asked = [cell for cell in asked if (name == "shots") == bool(cell.shots)]
    there = sorted({getattr(cell, name) for cell in asked})
    words = [_word(value) for value in there]
    lines = []
    for value in wanted:
        if value not in there:
            some = f"there are {', '.join(words)}" if words else "there are none"
            hint = some if name in ("seed", "shots") or not words else did_you_mean(_word(value), words)
            lines.append(f"{name} {_word(value)}; {hint}")
    return lines


def _word(value: object) -> str:
    return percent(value) if isinstance(value, float) else str(value)


def read_folder(root: Path) -> list[Found]:
    """Read all records of a folder.

    Raises:
        InputError: no such folder, no record in it, or a file that is no record of this schema.
    """
    if not root.is_dir():
        raise InputError("no such folder" if not root.exists() else "is not a folder", file=root)
    store = Store(root)
    found = [Found(record, path, root) for path, record in store]
    if not found:
        raise store.nothing()
    return found


def read_folders(roots: Sequence[Path]) -> list[Found]:
    """Read the records of several folders, side by side.

    The same cell under the same signature may be in several of them, as a compact copy or measured again; if
    it is with the same key and numbers, the record of the first folder counts.

    Raises:
        InputError: see :func:`read_folder`; or two folders say different things of one cell.
    """
    found: list[Found] = []
    known: dict[tuple[Cell, str], Found] = {}
    for root in {root.resolve(): root for root in roots}.values():
        # Within one folder it is for a command to say whether it minds two records of a cell.
        before = dict(known)
        for one in read_folder(root):
            place = (one.cell, one.record.signature)
            other = before.get(place)
            if other is None:
                known.setdefault(place, one)
                found.append(one)
            elif one.record.key != other.record.key or one.record.metrics != other.record.metrics:
                raise two_records(other, one)
    return found


def select(root: Path, wanted: Filter | None = None) -> list[Found]:
    """Read the records of a folder that pass a filter.

    Raises:
        InputError: see :func:`read_folder`, or no record passes.
    """
    wanted = wanted or Filter()
    everything = read_folder(root)
    chosen = [found for found in everything if wanted.passes(found.record)]
    if not chosen:
        raise wanted.explain(everything, root)
    return chosen


def located(records: Iterable[Record], root: Path) -> list[Found]:
    """Find the files of records in the folder in which they were saved; None where they are not there."""
    found = []
    for record in records:
        parts = parse_signature(record.signature)
        version = parts.version if parts is not None else ""
        path = Store(root).path(record.cell, kind=record.data.kind, version=version, key=record.key)
        found.append(Found(record, path if path.is_file() else None))
    return found


def by_cell(records: Iterable[Found]) -> dict[Cell, Found]:
    """Index records by cell.

    Raises:
        InputError: one cell has two records; both files are named.
    """
    index: dict[Cell, Found] = {}
    for found in records:
        other = index.setdefault(found.cell, found)
        if other is not found:
            raise two_records(other, found)
    return index


def two_records(first: Found, second: Found) -> InputError:
    """Return what to say of two records of one cell, of which only one can count."""
    moved = changes(first.record, second.record)
    return InputError(
        f"two records for one cell ({first.cell}): {first.where} and {second.where}"
        f"{f' ({moved})' if moved else ''}; "
        "remove the one that should not count, or keep it in another folder"
    )
