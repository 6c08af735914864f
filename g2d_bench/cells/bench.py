"""Everything that the cells of a run share: cards, data, settings, store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.task import UNTRAINED
from g2d_bench.cells.settings import Settings
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.source import Source
from g2d_bench.data.task_data import TaskData
from g2d_bench.encoders.text_folder import needs_folder, text_digest
from g2d_bench.encoders.weights import weights_digest, weights_file, weights_state
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record, key_of
from g2d_bench.records.signature import NUMBERS
from g2d_bench.records.store import Store

if TYPE_CHECKING:
    pass


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
