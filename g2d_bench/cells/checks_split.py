"""Does a record agree with the data and the split that it names? Only where the very data are at hand.

Ids and patients decide intervals and tests, and truth decides every number; all of them follow from the data.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.checks_cards import CardCheck
from g2d_bench.cells.checks_notes import check_notes
from g2d_bench.cells.settings import Settings
from g2d_bench.data.crossed import cross
from g2d_bench.data.leaks import find_leaks, shared_in_words
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.plain import visible
from g2d_bench.readers.registry import dataset_class, open_dataset
from g2d_bench.records.groups import digest_groups, group_arrays
from g2d_bench.records.recompute import Facts, differences, order_of, truth_of
from g2d_bench.records.record import Record
from g2d_bench.records.signature import is_of_this_code, parse_signature

if TYPE_CHECKING:
    from g2d_bench.readers.base import Dataset

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Expected:
    """What the data say of a cell.

    Attributes:
        data: its images.
        images: per part.
        positive: per part.
        order: digest of ids and patients, as :func:`~g2d_bench.records.recompute.order_of` makes it.
        truth: digest of what is true of them.
        groups: digest of the groups of patients to which they belong.
        arrays: ids, patients and truth.
        learned: trivial predictors that need training images, by the encoder's input and names of metrics;
            they are the same for all encoders of one input.
    """

    data: TaskData
    images: dict[str, int]
    positive: dict[str, int]
    order: str
    truth: str
    groups: str
    arrays: Arrays
    learned: dict[tuple[object, ...], dict[str, dict[str, float]]] = field(default_factory=dict)


class SplitCheck:
    """Holds records against the data that they were measured on. Each cell's data are opened once.

    Args:
        settings: where data lie.
        cards: says whether the cards are those of the record.
    """

    def __init__(self, settings: Settings, cards: CardCheck) -> None:
        self._settings, self._cards = settings, cards
        self._opened: dict[tuple[str, str], tuple[Dataset, Manifest] | str] = {}
        self._expected: dict[tuple[object, ...], Expected | str] = {}
        self._hashes: dict[tuple[str, str], str] = {}

    def __call__(self, record: Record, facts: Facts | None) -> tuple[list[str], list[str]]:
        """Hold one record against its data; nothing is generated, downloaded or hashed for it.

        Returns:
            A line per contradiction, and what could not be decided, in words.
        """
        task, protocol = self._asked(record)
        if task is None or protocol is None or task.kind != record.kind:
            # What is missing or wrong is said of the cards.
            return [], []
        cell = record.cell
        key = (task.name, protocol.name, record.data.kind, record.data.hash, *cell.drawn, cell.seed)
        if key not in self._expected:
            self._expected[key] = self._open(record, task, protocol)
        expected = self._expected[key]
        if isinstance(expected, str):
            return [], [f"ids, patients, truth, leaks and what training images tell: {expected}"]
        problems = _compare(record, facts, expected)
        problems += check_notes(record, task, protocol, self._cards.encoder(record), expected.data)
        wrong, undecided = leaks_again(record, expected.data)
        problems += wrong
        if facts is not None and is_of_this_code(record.signature):
            problems += self._references(record, facts, expected)
        return problems, undecided

    def generated(self, record: Record) -> str:
        """Return the content hash of the generated data here on which such a record would be measured.

        It is "" where there are none, or where nobody has read them since they changed.
        """
        task, protocol = self._asked(record)
        known = task is not None and protocol is not None
        key = (record.cell.task, record.cell.protocol) if known else (record.data.dataset, "")
        if key not in self._hashes:
            found = (
                self._data(task, protocol, "phantom")
                if task is not None and protocol is not None
                else self._dataset(record.data.dataset, "phantom")
            )
            self._hashes[key] = "" if isinstance(found, str) else found[1].content_hash
        return self._hashes[key]

    def _asked(self, record: Record) -> tuple[TaskCard | None, Protocol | None]:
        """Return the cards of a record's task and protocol, where those here are the record's."""
        parts = parse_signature(record.signature)
        task = self._cards.task(parts) if parts is not None else None
        return task, self._cards.protocol(parts, task) if parts is not None and task is not None else None

    def _data(self, task: TaskCard, protocol: Protocol, kind: str) -> tuple[Dataset, Manifest] | str:
        """Open the data of a task, two data sets joined where it is tested on another one."""
        return self._dataset(task.dataset, kind) if task.test is None else self._joined(task, protocol, kind)

    def _open(self, record: Record, task: TaskCard, protocol: Protocol) -> Expected | str:
        found = self._data(task, protocol, record.data.kind)
        if isinstance(found, str):
            return found
        dataset, manifest = found
        if manifest.content_hash != record.data.hash:
            return f"the {record.data.kind} data of {dataset.name} here are not those of the record"
        try:
            cell = record.cell
            data = TaskData(task, protocol, dataset, manifest, cell.fraction, cell.seed, cell.shots)
            arrays = _arrays(task, data)
        except InputError as error:
            return str(error)
        parts = {"train": data.train, "val": data.val, "test": data.test}
        return Expected(
            data=data,
            images={part: len(ids) for part, ids in parts.items()},
            positive={part: data.positives(ids) for part, ids in parts.items()},
            order=order_of(arrays),
            truth=truth_of(task.kind, arrays),
            groups=digest_groups(group_arrays([data.samples[name].meta for name in arrays["id"].tolist()])),
            arrays=arrays,
        )

    def _joined(self, task: TaskCard, protocol: Protocol, kind: str) -> tuple[Dataset, Manifest] | str:
        """Join what a task trains on with what it is tested on, or say why that cannot be."""
        assert task.test is not None
        inside = self._dataset(task.dataset, "phantom" if task.test.training == "phantom" else kind)
        outside = self._dataset(task.test.dataset, kind)
        if isinstance(inside, str) or isinstance(outside, str):
            return inside if isinstance(inside, str) else str(outside)
        try:
            return cross(task, protocol.split, inside, outside)
        except InputError as error:
            return str(error)

    def _dataset(self, name: str, kind: str) -> tuple[Dataset, Manifest] | str:
        """Open a data set whose files were hashed before, or say why there is none."""
        key = (name, kind)
        if key not in self._opened:
            self._opened[key] = self._find(name, kind)
        return self._opened[key]

    def _find(self, name: str, kind: str) -> tuple[Dataset, Manifest] | str:
        root = self._settings.data_root
        try:
            if kind == "phantom":
                found = self._generated(name)
                if found is None:
                    return f"the generated {name} is not here"
            elif root is None:
                return "no folder of real data is configured (--data-root)"
            else:
                found = open_dataset(name, root)
            manifest = Manifest.cached(found)
        except InputError as error:
            return str(error)
        if manifest is None:
            return f"{name} was not read before; `g2d-bench run` or `g2d-bench data audit` do it"
        return found, manifest

    def _generated(self, name: str) -> Dataset | None:
        """Open generated data: those below the data root, as films of a trial, or the suite's own."""
        if self._settings.data_root is not None:
            with suppress(InputError):
                given = open_dataset(name, self._settings.data_root)
                if given.kind == "phantom":
                    return given
        folder = self._settings.phantom_root / name
        return dataset_class(name)(folder) if folder.is_dir() else None

    def _references(self, record: Record, facts: Facts, expected: Expected) -> list[str]:
        """Compute the trivial predictors that need training images again."""
        names = [name for name in record.metrics if name in facts.metrics]
        learned = KINDS[record.kind].learned
        made: dict[str, dict[str, float]] = {}
        if learned is not None and KINDS[record.kind].trivial & set(record.references):
            card = self._cards.encoder(record)
            size = card.image.size if card is not None else expected.data.task.eval_size
            key = (size, *names)
            if key not in expected.learned:
                expected.learned[key] = learned(expected.data, expected.arrays, names, size)
            made = expected.learned[key]
        return [
            f"references.{name}.{metric}: says {stated:.6g}, the training images give {again:.6g}"
            for name, values in made.items()
            if name in record.references
            for metric, stated, again in differences(record.references[name], values)
            if metric in record.references[name]
        ]


def _compare(record: Record, facts: Facts | None, expected: Expected) -> list[str]:
    lines = []
    split_hash = expected.data.split.hash
    if record.data.split_hash != split_hash:
        lines.append(f"data.split_hash: says {record.data.split_hash[:8]}, the split is {split_hash[:8]}")
    for name, stated, there in (
        ("images", record.data.images, expected.images),
        ("positive", record.data.positive, expected.positive),
    ):
        lines += [
            f"data.{name}.{part}: says {stated[part]}, the split has {count}"
            for part, count in there.items()
            if stated[part] != count
        ]
    if facts is None:
        return lines
    if facts.order != expected.order:
        lines.append("predictions: ids and patients are not those of the split's test part, in its order")
    elif facts.truth and facts.truth != expected.truth:
        lines.append("predictions: the truth is not that of these images")
    elif facts.groups and facts.groups != expected.groups:
        lines.append("predictions: sex, age, view or device of the images are not those that the data tell")
    return lines


def leaks_again(record: Record, data: TaskData) -> tuple[list[str], list[str]]:
    """Look again for what the parts of a split share, as far as that takes no pixels.

    Returns:
        A line per contradiction, and what could not be decided, in words.
    """
    said = record.data.leaks
    if data.task.split[data.split_name].function:
        wanted = visible(data.check_leaks())
        return ([] if said == wanted else [f"data.leaks: says {said!r}, the split says {wanted!r}"]), []
    leaks = find_leaks(data.split, data.manifest)
    generated = data.manifest.kind == "phantom"
    # Films of one grey value are alike and no leak, which only their pixels tell.
    certain = [leak for leak in leaks if generated or leak.kind != "file"]
    if certain and not said:
        return [f"data.leaks: says nothing, but the parts share: {shared_in_words(certain)}"], []
    if said and not leaks and generated:
        return [f"data.leaks: says {said!r}, but the parts share nothing"], []
    return [], [] if generated else ["data.leaks: films that are alike are not looked for again"]


def _arrays(task: TaskCard, data: TaskData) -> Arrays:
    """Return ids, patients and truth of the test samples as a record of this kind of task keeps them.

    Raises:
        InputError: the kind does not say.
    """
    expected = KINDS[task.kind].expected
    if expected is None:
        raise InputError(f"the kind {task.kind} does not say what its records should hold")
    ids, truth = expected(data)
    return {"id": np.array(ids), "patient": np.array(data.patients(tuple(ids))), **truth}
