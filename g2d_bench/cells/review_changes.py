"""What a change does to the records and files that a repository of results has already."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.cells.bundle import CARDS, RECORDS, SUBMISSIONS, SUFFIXES, records_root
from g2d_bench.plain import visible
from g2d_bench.records.cell import Cell
from g2d_bench.records.compare import BAD, Line, Tolerance, compare
from g2d_bench.records.selection import Found

EXACT = Tolerance("absolute", 0.0)
"""Whatever seeds do: who reviews a change has to see all of it."""


@dataclass(frozen=True)
class Pair:
    """A record that is there and the one that would stand in its place.

    Attributes:
        old: the record that is there.
        new: that of the same cell in the change.
    """

    old: Found
    new: Found

    @property
    def again(self) -> bool:
        """Whether their numbers share a signature."""
        return self.old.record.signature == self.new.record.signature


def gone(bundle: Path, against: Path) -> list[str]:
    """Name the files of a repository that a changed copy of it lacks, by their places in the copy.

    Args:
        bundle: the copy.
        against: the repository.
    """
    flat = records_root(against) == against
    lost = []
    for folder, inside, names in os.walk(against):
        if Path(folder) == against:
            inside[:] = [name for name in inside if name != ".git"]
            names = [name for name in names if name != ".git"]
        links = [name for name in inside if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            path = (Path(folder) / name).relative_to(against).as_posix()
            place = f"{RECORDS}/{path}" if flat and path.partition("/")[0] not in SUFFIXES else path
            if not (bundle / place).is_file():
                lost.append(place)
    return sorted(lost)


def pairs_of(
    found: Sequence[Found], base: Sequence[Found], bundle: Path, against: Path, lost: Collection[str] = ()
) -> list[Pair]:
    """Pair new records with those in whose place they would stand.

    That is where the signature is the same, or the file; or where a change of a whole repository takes the
    old record away and brings another one of its cell, on the same kind of data, with the same weights.

    Args:
        found: the new records.
        base: the records that are there.
        bundle: the folder of the new ones.
        against: the repository.
        lost: what :func:`gone` names.
    """
    there: dict[Cell, list[Found]] = defaultdict(list)
    for old in base:
        there[old.cell].append(old)
    pairs = []
    for new in found:
        for old in there[new.cell]:
            place = place_in(records_root(against), old, RECORDS)
            same = old.record.signature == new.record.signature or place == place_in(bundle, new)
            alike = old.record.data.kind == new.record.data.kind
            alike = alike and old.record.encoder.weights == new.record.encoder.weights
            if same or (place in lost and alike):
                pairs.append(Pair(old, new))
    return pairs


def place_in(root: Path, found: Found, below: str = "") -> str:
    """Return where a record lies in a folder, written as below another one."""
    assert found.path is not None
    return "/".join([*filter(None, [below]), found.path.relative_to(root).as_posix()])


def moved(pairs: Sequence[Pair]) -> list[Line]:
    """Return every number that differs, however little, and records with another signature; most first."""
    lines = [
        line
        for pair in pairs
        for line in compare({pair.old.cell: pair.old}, {pair.new.cell: pair.new}, EXACT)
        if line.state in BAD
    ]
    # What has no amount, such as a number that is undefined now, stands before all.
    return sorted(lines, key=lambda line: (line.moved_by == line.moved_by, -abs(line.moved_by)))


def told(pairs: Sequence[Pair], bundle: Path) -> tuple[list[str], list[str]]:
    """Compare the predictions of records with those in whose place they would stand.

    Returns:
        A line per record that lost its predictions, which nobody may do, and one per record that has others.
    """
    wrong, said = [], []
    for pair in pairs:
        before, now = pair.old.record.predictions, pair.new.record.predictions
        where = place_in(bundle, pair.new)
        if before is not None and now is None:
            wrong.append(
                visible(
                    f"{where}: has no predictions, and the record that is there has: keep them, so that "
                    "its numbers can be checked"
                )
            )
        elif before is None and now is not None:
            said.append(visible(f"{where}: has predictions now"))
        elif before is not None and now is not None and before.sha256 != now.sha256 and pair.again:
            said.append(visible(f"{where}: has other predictions"))
    return wrong, said


def lost_lines(
    lost: Sequence[str], pairs: Sequence[Pair], bundle: Path, against: Path
) -> tuple[list[str], list[str]]:
    """Say what a changed copy of a repository lacks.

    Args:
        lost: what :func:`gone` names.
        pairs: what :func:`pairs_of` pairs.
        bundle: the copy.
        against: the repository.

    Returns:
        A line per file, with what stands in the place of a record, and a line per file that must stay.
    """
    heirs: dict[str, str] = {}
    for pair in pairs:
        old, heir = place_in(records_root(against), pair.old, RECORDS), place_in(bundle, pair.new)
        heirs[old] = heir
        if pair.old.record.predictions is not None:
            heirs[f"{old.rpartition('/')[0]}/{pair.old.record.predictions.file}"] = heir
    lines, wrong = [], []
    for path in lost:
        if path in heirs:
            lines.append(visible(f"{path}: {heirs[path]} stands in its place"))
            continue
        lines.append(visible(path))
        wrong.append(visible(f"{path}: {_what(path)} is gone"))
    return lines, wrong


def _what(path: str) -> str:
    top = path.partition("/")[0]
    if top == RECORDS:
        part = "the predictions of a record" if path.endswith(".npz") else "a record"
        return f"{part}, in whose place nothing stands,"
    return {CARDS: "the card of an encoder", SUBMISSIONS: "an earlier submission"}.get(
        top, "what is no part of a submission"
    )
