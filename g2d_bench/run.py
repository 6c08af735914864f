"""One cell, from card to record."""

from __future__ import annotations

import math
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards import UNTRAINED, Catalogue
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import Source, TaskData
from g2d_bench.encoders.card import EncoderCard
from g2d_bench.encoders.text_folder import needs_folder, text_digest
from g2d_bench.encoders.weights import weights_digest, weights_file, weights_state
from g2d_bench.errors import InputError
from g2d_bench.plan import Cell
from g2d_bench.processes import cores
from g2d_bench.provenance import Stopwatch, commit, hardware, now, peak_memory_mb, versions
from g2d_bench.results import (
    CellPart,
    DataPart,
    EncoderPart,
    Failure,
    Record,
    Store,
    key_of,
)
from g2d_bench.settings import Settings
from g2d_bench.signature import NUMBERS, signature

if TYPE_CHECKING:
    from g2d_bench.adapters.base import Outcome


@dataclass(frozen=True)
class Options:
    """What a user may allow a run, and which of it enters the record."""

    force: bool = False
    allow_leaks: str = ""
    """Reason for running in spite of a leak; written into the record."""
    memory_budget: int = 2 << 30
    """Bytes that the dense features of a frozen encoder may take."""


class Bench:
    """Everything that cells share: cards, data, settings, store; opened once, when first needed."""

    def __init__(self, settings: Settings, options: Options | None = None) -> None:
        self.settings = settings
        self.options = options or Options()
        self.store = Store(settings.results)
        self._data: dict[str, tuple[Any, Manifest] | InputError] = {}
        self._checked: dict[tuple[str, str], str] = {}

    @cached_property
    def catalogue(self) -> Catalogue:
        """All cards."""
        return Catalogue.open(
            self.settings.task_dirs, self.settings.encoder_dirs, self.settings.protocol_dirs
        )

    @cached_property
    def source(self) -> Source:
        """Where data come from."""
        return Source(self.settings.data_root, self.settings.phantom_root)

    def dataset(self, name: str) -> tuple[Any, Manifest]:
        """Open a data set and its manifest, once; a bad one is not read again for every cell, either.

        Raises:
            InputError: it is not there or malformed.
        """
        if name not in self._data:
            try:
                dataset = self.source.open(name)
                self._data[name] = (dataset, Manifest.open(dataset))
            except InputError as error:
                self._data[name] = error
        found = self._data[name]
        if isinstance(found, InputError):
            raise found
        return found

    def weights(self, card: EncoderCard) -> tuple[bool, str]:
        """Say whether a card's weights can be loaded here, and if not, why."""
        return weights_state(card, self.settings.checkpoint(card.name))

    def task_data(self, cell: Cell) -> TaskData:
        """Open a cell's images and divide them."""
        task = self.catalogue.tasks[cell.task]
        dataset, manifest = self.dataset(task.dataset)
        return TaskData(
            task, self.catalogue.protocols[cell.protocol], dataset, manifest, cell.fraction, cell.seed
        )

    def identity(self, cell: Cell, content: str = "") -> dict[str, Any]:
        """Collect everything that moves a cell's number; its digest is the key.

        Args:
            cell: the cell.
            content: take this for the hash of the data, instead of reading them.
        """
        task = self.catalogue.tasks[cell.task]
        card = self.catalogue.encoders[cell.card]
        protocol = self.catalogue.protocols[cell.protocol]
        checkpoint = self.settings.checkpoint(card.name)
        asked: dict[str, str] = {}
        if task.kind in UNTRAINED and needs_folder(card):
            file = weights_file(card, checkpoint)
            asked = {} if file is None else {"text": text_digest(card, file)}
        return {
            "cell": cell.as_dict(),
            "task": task.digest(protocol.split),
            "protocol": protocol.digest(task.kind),
            "encoder": card.digest,
            "weights": weights_digest(card, checkpoint, cell.seed),
            **asked,
            "data": content or self.dataset(task.dataset)[1].content_hash,
            "numbers": NUMBERS,
        }

    def locate(self, cell: Cell) -> tuple[str, Path]:
        """Return a cell's key and the path of its record."""
        task = self.catalogue.tasks[cell.task]
        key = key_of(self.identity(cell))
        _, manifest = self.dataset(task.dataset)
        return key, self.store.path(cell, kind=manifest.kind, version=task.version, key=key)

    def finished(self, cell: Cell) -> Record | None:
        """Return the record of a cell that needs no more work."""
        key, path = self.locate(cell)
        return None if self.options.force else self.store.find(path, key)

    def locate_failure(self, cell: Cell) -> tuple[str, Path]:
        """Return a cell's key and the path of its failure record, also where the data cannot be read."""
        try:
            key, path = self.locate(cell)
        except InputError:
            task = self.catalogue.tasks[cell.task]
            there = self.source.state(task.dataset)
            key, kind = "", self.source.kind if there == "no" else there
            path = self.store.path(cell, kind=kind, version=task.version, key=key)
        return key, self.store.failure_path(path)

    def forget(self, cell: Cell) -> None:
        """Remove the failure record of a cell, and the folders that it alone needed."""
        _, path = self.locate_failure(cell)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.store.root.parent or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()

    def prepare(self, cell: Cell) -> None:
        """Fill the caches that a cell reads, so that several workers find them."""
        data = self.task_data(cell)
        data.pixels(self.catalogue.encoders[cell.card].image.size)
        if self.catalogue.tasks[cell.task].kind in ("segmentation", "grounding"):
            _ = data.masks

    def check_leaks(self, data: TaskData) -> str:
        """Stop at a leak, or return the user's reason for going on, or what a published split shares."""
        marker = (data.task.name, data.split_name)
        if marker not in self._checked:
            try:
                self._checked[marker] = data.check_leaks()
            except InputError:
                if not self.options.allow_leaks:
                    raise
                return self.options.allow_leaks
        return self._checked[marker]


def run_cell(cell: Cell, bench: Bench) -> Record:
    """Run one cell and save its record.

    Raises:
        InputError: bad data, card or weights; nothing is written.
    """
    return run_cells([cell], bench)[0]


def run_cells(cells: Sequence[Cell], bench: Bench) -> list[Record]:
    """Run cells of one task, encoder and protocol together and save their records.

    What they need is opened once. The numbers are those that the cells have one by one; the seconds are
    shared out evenly.

    Raises:
        InputError: bad data, card or weights of any of them; nothing is written.
    """
    from g2d_bench.adapters.base import Job, adapter, run_jobs
    from g2d_bench.encoders.load import Encoder, load_encoder

    clock = Stopwatch()
    task = bench.catalogue.tasks[cells[0].task]
    card = bench.catalogue.encoders[cells[0].card]
    protocol = bench.catalogue.protocols[cells[0].protocol]
    checkpoint = bench.settings.checkpoint(card.name)
    with clock.phase("data"):
        opened = [bench.task_data(cell) for cell in cells]
        leaks = [bench.check_leaks(data) for data in opened]
        places = [bench.locate(cell) for cell in cells]
    with clock.phase("imports"):
        adapter(task.kind)
    encoders: dict[str, Encoder] = {}
    with clock.phase("encoder"):
        fix_threads(card)
        weights = [weights_digest(card, checkpoint, cell.seed) for cell in cells]
        for digest, cell in zip(weights, cells, strict=True):
            if digest not in encoders:
                encoders[digest] = load_encoder(
                    card, checkpoint=checkpoint, seed=cell.seed, text=task.kind in UNTRAINED
                )
    with clock.phase("train and predict"):
        outcomes = run_jobs(
            [
                Job(
                    task=protocol.view(task),
                    protocol=protocol,
                    data=data,
                    encoder=encoders[digest],
                    seed=cell.seed,
                    with_decoder=cell.with_decoder,
                    memory_budget=bench.options.memory_budget,
                )
                for cell, data, digest in zip(cells, opened, weights, strict=True)
            ]
        )
    seconds = {phase: round(spent / len(cells), 3) for phase, spent in clock.seconds.items()}
    records = []
    for cell, data, reason, (key, path), outcome in zip(cells, opened, leaks, places, outcomes, strict=True):
        notes = {**outcome.notes, "cells_together": len(cells)} if len(cells) > 1 else outcome.notes
        record = _record(cell, bench, key, digest, data, reason, replace(outcome, notes=notes), seconds)
        records.append(bench.store.save(path, record, outcome.predictions))
    return records


def _record(
    cell: Cell,
    bench: Bench,
    key: str,
    weights: str,
    data: TaskData,
    leaks: str,
    outcome: Outcome,
    seconds: dict[str, float],
) -> Record:
    """Write down what a cell measured and everything that it came from."""
    task, card = bench.catalogue.tasks[cell.task], bench.catalogue.encoders[cell.card]
    manifest = data.manifest
    defects = task.split[data.split_name].defects
    return Record(
        key=key,
        signature=signature(
            task,
            bench.catalogue.protocols[cell.protocol],
            data_kind=manifest.kind,
            data_hash=manifest.content_hash,
            split_hash=data.split.hash,
        ),
        kind=task.kind,
        cell=CellPart(**cell.as_dict()),
        data=DataPart(
            dataset=task.dataset,
            kind="phantom" if manifest.kind == "phantom" else "real",
            hash=manifest.content_hash,
            split_hash=data.split.hash,
            images={"train": len(data.train), "val": len(data.val), "test": len(data.test)},
            positive={
                "train": data.positives(data.train),
                "val": data.positives(data.val),
                "test": data.positives(data.test),
            },
            leaks=leaks,
        ),
        encoder=EncoderPart(
            card_hash=card.digest,
            weights=weights,
        ),
        metrics=_finite(outcome.metrics),
        references={name: _finite(values) for name, values in outcome.references.items()},
        notes=outcome.notes | ({"split_defects": list(defects)} if defects else {}),
        versions=versions(),
        commit=commit(),
        hardware=hardware(),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        command=shlex.join(["g2d-bench", *sys.argv[1:]]),
        created=now(),
    )


def fix_threads(card: EncoderCard) -> None:
    """Give a cell as many threads as its numbers are defined for.

    Sums split over threads differ in their last bits, and training carries that into the third digit. So the
    small encoders always run on one thread, whether cells run side by side or not.
    """
    import torch

    torch.set_num_threads(1 if card.scale == "phantom" else cores())


def record_failure(cell: Cell, bench: Bench, error: BaseException) -> Failure:
    """Leave a failure record for a cell that raised."""
    key, path = bench.locate_failure(cell)
    failure = Failure(
        key=key,
        cell=CellPart(**cell.as_dict()),
        bad_input=isinstance(error, InputError),
        error=str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        created=now(),
    )
    bench.store.fail(path, failure)
    return failure


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: an undefined metric is null."""
    return {name: None if math.isnan(value) else float(value) for name, value in values.items()}
