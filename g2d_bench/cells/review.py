"""What a stranger's bundle would change in a repository of results, and whether it tells the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.kind import known_kind
from g2d_bench.cells.bundle import (
    CARDS,
    LARGEST,
    README,
    RECORDS,
    SUBMISSIONS,
    Claim,
    Submission,
    files_of,
    read_submission,
    records_root,
)
from g2d_bench.cells.review_changes import gone, lost_lines, moved, pairs_of, place_in, told
from g2d_bench.cells.review_encoders import Submitted, encoder_problems
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.standings import Standing, place_of, standings
from g2d_bench.cells.submit import lacking
from g2d_bench.cells.verify import Inspection
from g2d_bench.errors import InputError
from g2d_bench.plain import visible
from g2d_bench.records.cell import amount
from g2d_bench.records.compare import Line
from g2d_bench.records.groups import NAMES as GROUPS
from g2d_bench.records.record import digest_bytes, read_predictions, read_record
from g2d_bench.records.selection import Found, read_folder
from g2d_bench.records.shown import SHOWN
from g2d_bench.records.store import DEPTH, Store
from g2d_bench.safe_files import read_strangers

NAMED = ("id", "patient", *GROUPS)
"""Arrays that predictions of any kind may hold: which images, of which patients, in which groups of them."""


@dataclass(frozen=True)
class Review:
    """What was found.

    Attributes:
        problems: what is not true or not allowed, one line each; a bundle with one is refused.
        encoders: what the bundle states of its encoders.
        notes: the submitters' words.
        partial: why rows are not complete, in the submitters' words.
        new: records of cells that were not there.
        again: records of cells that were there.
        moved: numbers that differ from those of the records there, however little; and records that take the
            place of one with another signature.
        predictions: records that have other predictions than those there.
        kept: records that are there already, the same.
        removed: files that are no longer there (of a whole repository only), and what stands in their place.
        unlike: columns that no number in the repository may be compared with, and why.
        standings: ranks that are new or changed.
        missing: cells that rows lack.
        undecided: what could not be checked.
        metrics: how many numbers were computed again.
    """

    problems: tuple[str, ...] = ()
    encoders: Mapping[str, Claim] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    new: tuple[Found, ...] = ()
    again: tuple[Found, ...] = ()
    moved: tuple[Line, ...] = ()
    predictions: tuple[str, ...] = ()
    kept: int = 0
    removed: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()
    missing: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    metrics: int = 0


def review(bundle: Path, against: Path, settings: Settings, whole: bool = False) -> Review:
    """Look at a bundle without trusting anything in it.

    Nothing is written but what is kept of predictions in the cache, nothing is followed, and no code is run.

    Args:
        bundle: the folder.
        against: the repository of results, or any folder of records; it may be empty or not there.
        settings: where the reviewer's own cards and data are.
        whole: the bundle is a copy of the repository with the changes in it.

    Raises:
        InputError: a record of the repository cannot be read, or there is no bundle.
    """
    if not bundle.is_dir():
        raise InputError("no such folder" if not bundle.exists() else "is not a folder", file=bundle)
    base = _base(against)
    try:
        ours, others = files_of(bundle, whole=whole)
    except InputError as error:
        return Review(problems=(_inside(error, bundle),))
    except OSError as error:
        return Review(problems=(visible(f"cannot be read ({error.strerror})"),))
    looked = _Look(bundle, against, settings)
    try:
        looked.files(ours, others)
    except InputError as error:  # It changes while it is read.
        return Review(problems=(_inside(error, bundle),))
    looked.records(base)
    return looked.review(base, gone(bundle, against) if whole else [])


def _base(against: Path) -> list[Found]:
    root = records_root(against)
    return read_folder(root) if Store(root).files() else []


def _inside(error: InputError, bundle: Path) -> str:
    """Name a file by its place in the bundle: where that lies says nothing."""
    return (
        visible(str(error))
        .replace(f"{visible(str(bundle))}/", "")
        .replace(visible(str(bundle)), "the bundle")
    )


class _Look:
    """One look at a bundle; gathers what a :class:`Review` says."""

    def __init__(self, bundle: Path, against: Path, settings: Settings) -> None:
        self._bundle, self._against, self._settings = bundle, against, settings
        self._problems: list[str] = []
        self._claims: dict[str, Claim] = {}
        self._cards: dict[str, EncoderCard] = {}
        self._submissions: dict[str, Submission] = {}
        self._found: list[Found] = []
        self._kept = 0
        self._changed: list[str] = []
        self._undecided: Counter[str] = Counter()
        self._metrics = 0
        self._catalogue = Catalogue.open(settings.task_dirs, settings.encoder_dirs, settings.protocol_dirs)

    def _wrong(self, text: str) -> None:
        self._problems.append(visible(text))

    def files(self, ours: Sequence[str], others: Sequence[str]) -> None:
        """Hold files against what the bundle lists, and leave those aside that are there already."""
        fresh: dict[str, str] = {}
        for path in ours:
            data = read_strangers(self._bundle / path, LARGEST[Path(path).suffix])
            if self._there(path, data):
                self._kept += path.startswith(f"{RECORDS}/") and path.endswith(".json")
            else:
                fresh[path] = digest_bytes(data)
        for path in others:
            data = read_strangers(self._bundle / path, max(LARGEST.values()))
            if not self._there(path, data):
                self._wrong(f"{path}: is no part of a submission, and is changed or added")
        listed: dict[str, str] = {}
        for path in fresh:
            if path.startswith(f"{SUBMISSIONS}/"):
                if (self._against / path).exists():
                    self._wrong(f"{path}: an earlier submission is changed")
                self._read(path, listed)
        if fresh and not self._submissions and not self._problems:
            self._wrong(f"{SUBMISSIONS}/: nothing there says who was measured, and under which licence")
        for path, digest in listed.items():
            if path not in ours:
                self._wrong(f"{path}: is listed and is not there")
            elif path in fresh and fresh[path] != digest:
                self._wrong(f"{path}: is another file than the one that was submitted (sha256)")
        self._changed = [p for p in fresh if not p.startswith(f"{SUBMISSIONS}/") and p != README]
        for path in self._changed:
            if path not in listed:
                self._wrong(f"{path}: is listed by no submission")

    def _there(self, path: str, data: bytes) -> bool:
        same = self._against / path
        if path.startswith(f"{RECORDS}/"):
            same = records_root(self._against) / path.removeprefix(f"{RECORDS}/")
        try:
            return same.is_file() and read_strangers(same, max(LARGEST.values())) == data
        except InputError:
            return False

    def _read(self, path: str, listed: dict[str, str]) -> None:
        try:
            stated = read_submission(self._bundle / path)
        except InputError as error:
            self._problems.append(_inside(error, self._bundle))
            return
        self._submissions[path] = stated
        listed |= stated.files
        for name, claim in stated.encoders.items():
            if self._claims.setdefault(name, claim) != claim:
                self._wrong(f"{path}: states of {name} other things than another submission")

    def records(self, base: Sequence[Found]) -> None:
        """Read what is new, and derive again whatever can be derived."""
        for path in self._changed:
            place = self._bundle / path
            try:
                if path.endswith(".toml"):
                    card = load_card(place, EncoderCard)
                    self._cards[card.name] = card
                elif path.endswith(".json"):
                    if path.count("/") != DEPTH:
                        self._wrong(f"{path}: lies where no record does")
                    self._found.append(Found(read_record(place), place, self._bundle / RECORDS))
            except InputError as error:
                self._problems.append(_inside(error, self._bundle))
        beside = {
            one.path.with_name(one.record.predictions.file)
            for one in self._found
            if one.path and one.record.predictions
        }
        for path in self._changed:
            if path.endswith(".npz") and self._bundle / path not in beside:
                self._wrong(f"{path}: belongs to no new record")
        self._problems += encoder_problems(
            Submitted(self._bundle, self._against, self._claims, self._cards, self._found, self._submissions),
            base,
            self._catalogue,
        )
        self._problems = list(dict.fromkeys(self._problems))
        settings = self._settings
        shipped = set(self._catalogue.encoders.names)
        if self._cards and not shipped & set(self._cards) and not self._problems:
            folder = self._bundle / CARDS
            settings = replace(settings, encoder_dirs=(*settings.encoder_dirs, folder))
        inspection = Inspection(settings, data=True)
        signatures = {one.record.signature for one in self._found}
        peers = [one for one in base if one.record.signature in signatures]
        for _, failed in inspection.look_at(peers, "checking records of the same signatures"):
            if failed is not None:
                raise failed
        inspection.learn(base)
        before = inspection.metrics
        inspection.undecided.clear()
        readable = []
        for one in self._found:
            try:
                self._arrays(one)
                readable.append(one)
            except InputError as error:
                self._problems.append(_inside(error, self._bundle))
        for _, failed in inspection.look_at(readable, "checking the new records"):
            if failed is not None:
                self._problems.append(_inside(failed, self._bundle))
        here = visible(f"{self._bundle}/")
        self._problems += [line.replace(here, "") for line in inspection.problems() if line.startswith(here)]
        self._undecided.update(inspection.undecided)
        self._metrics = inspection.metrics - before
        cells = Counter((one.cell, one.record.signature) for one in self._found)
        for (cell, _), count in cells.items():
            if count > 1:
                self._wrong(f"{cell}: has {count} records")

    def _arrays(self, one: Found) -> None:
        """Refuse arrays that no metric reads: they might be pixels.

        Raises:
            InputError: there are some, or the predictions cannot be read.
        """
        record = one.record
        if record.predictions is None or one.path is None:
            return
        kind = known_kind(record.kind)
        if kind is None or not kind.arrays:
            raise InputError(
                f"{record.kind!r} is no kind whose arrays are known here", file=one.path, field="kind"
            )
        # A few masks and maps of generated films are to be looked at; of real ones they might be pixels.
        pictures = SHOWN if record.data.kind == "phantom" else ()
        strange = set(read_predictions(one.path, record)) - {*NAMED, *kind.arrays, *pictures}
        if strange:
            raise InputError(
                f"holds {', '.join(sorted(strange))}, which no metric reads; `submit` leaves it out",
                file=one.path.with_name(record.predictions.file),
            )

    def review(self, base: Sequence[Found], lost: Sequence[str]) -> Review:
        """Say what would change, and which files of a whole repository are gone."""
        there = {(one.cell, one.record.signature) for one in base}
        again = [one for one in self._found if (one.cell, one.record.signature) in there]
        new = [one for one in self._found if (one.cell, one.record.signature) not in there]
        pairs = pairs_of(self._found, base, self._bundle, self._against, lost)
        bare, predictions = told(pairs, self._bundle)
        removed, missed = lost_lines(lost, pairs, self._bundle, self._against)
        self._problems += [*bare, *missed]
        for pair in pairs:
            one, stays = pair.new, place_in(records_root(self._against), pair.old, RECORDS) not in lost
            if pair.again and stays and one.record.key != pair.old.record.key:
                self._wrong(f"{one.cell}: is there with another key; one cell can have one record only")
        ranked: list[Standing] = []
        if not self._problems:
            try:
                ranked = standings(base, self._found, self._catalogue)
            except InputError as error:
                self._undecided[f"ranks: {error}"] += 1
        stated = self._submissions.values()
        partial = [one.partial for one in stated if one.partial]
        missing = lacking(self._found, self._catalogue, base)
        if missing and not partial:
            self._wrong(f"rows are not complete, and no submission says why: {missing[0]}")
        return Review(
            problems=tuple(dict.fromkeys(self._problems)),
            encoders=dict(self._claims),
            notes=tuple(one.note for one in stated if one.note),
            partial=tuple(partial),
            new=tuple(new),
            again=tuple(again),
            moved=tuple(moved(pairs)),
            predictions=tuple(predictions),
            kept=self._kept,
            removed=tuple(removed),
            unlike=tuple(_unlike(new, base)),
            standings=tuple(ranked),
            missing=tuple(missing),
            undecided=tuple(visible(f"{count} x {why}") for why, count in sorted(self._undecided.items())),
            metrics=self._metrics,
        )


def _unlike(new: Sequence[Found], base: Sequence[Found]) -> list[str]:
    """Name columns whose numbers stand beside none in the repository, and in which part signatures differ."""
    there: dict[tuple[str, str, str], set[str]] = {}
    for one in base:
        there.setdefault((one.cell.task, one.cell.protocol, one.record.data.kind), set()).add(
            one.record.signature
        )
    lines = []
    for place in sorted({place_of(one): one.record.data.kind for one in new}.items()):
        (task, drawn, protocol, signature), kind = place
        known = there.get((task, protocol, kind))
        if known and signature not in known:
            other = min(known)
            differ = [
                f"{mine} in the place of {theirs}"
                for mine, theirs in zip(signature.split("|"), other.split("|"), strict=False)
                if mine != theirs
            ]
            lines.append(visible(f"{task} at {amount(*drawn)}, {protocol}: {'; '.join(differ)}"))
        elif not known:
            lines.append(visible(f"{task} at {amount(*drawn)}, {protocol}: the first numbers on {kind} data"))
    return lines
