"""What the cells of a run share: settings, cards, data, store; and how a cell is resolved with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.repeat import call_of, command_of
from g2d_bench.cells.resolve import Model, Resolved, identity_of
from g2d_bench.cells.settings import Settings
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.source import Source
from g2d_bench.data.task_data import divided
from g2d_bench.encoders.weights import weights_state
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import Record
from g2d_bench.records.store import Store


@dataclass(frozen=True)
class Options:
    """What a user may allow a run, and which of it enters the record."""

    force: bool = False
    allow_leaks: str = ""
    """Reason for running in spite of a leak; written into the record."""
    memory_budget: int = 2 << 30
    """Bytes that the dense features of a frozen encoder may take."""


class Bench:
    """Everything that cells share; opened once, when first needed.

    Args:
        settings: where to look and write.
        options: what is allowed.
        models: encoders that are in memory, by the name of their card; a card of the same name must be in
            ``catalogue``.
        catalogue: the cards; by default those that the settings name.
        source: where data come from; by default as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        options: Options | None = None,
        *,
        models: Mapping[str, Model] | None = None,
        catalogue: Catalogue | None = None,
        source: Source | None = None,
    ) -> None:
        self.settings = settings
        self.options = options or Options()
        self.models = dict(models or {})
        self._catalogue, self._source = catalogue, source
        self._resolved: dict[Cell, Resolved] = {}
        self._splits: dict[tuple[str, str], str] = {}

    @cached_property
    def catalogue(self) -> Catalogue:
        """All cards."""
        settings = self.settings
        return self._catalogue or Catalogue.open(
            settings.task_dirs, settings.encoder_dirs, settings.protocol_dirs
        )

    @cached_property
    def source(self) -> Source:
        """Where data come from."""
        return self._source or Source(self.settings.data_root, self.settings.phantom_root)

    @cached_property
    def store(self) -> Store:
        """Where records go."""
        return Store(self.settings.results)

    def weights(self, card: EncoderCard) -> tuple[bool, str]:
        """Say whether a card's weights can be loaded here, and if not, why."""
        if card.name in self.models:
            return True, ""
        return weights_state(card, self.settings.checkpoint(card.name))

    def resolve(self, cell: Cell) -> Resolved:
        """Open and hash everything that a cell names, once.

        Raises:
            InputError: a card, the data or the weights cannot be had.
        """
        if cell not in self._resolved:
            task = self.catalogue.tasks[cell.task]
            rule = self.catalogue.protocols[cell.protocol]
            checkpoint, model = self.settings.checkpoint(cell.card), self.models.get(cell.card)
            # Before the data are opened, or generated: weights that cannot be read are said at once.
            on = self._identity(cell, checkpoint)
            _, manifest = opened = self.source.of_task(task, rule.split)
            found = on(manifest.content_hash)
            key = key_of(found)
            self._resolved[cell] = Resolved(
                cell,
                task,
                rule,
                self.catalogue.encoders[cell.card],
                checkpoint,
                found,
                *opened,
                key,
                self.store.path(cell, kind=manifest.kind, version=task.version, key=key),
                command_of(cell, self.settings) if model is None else call_of(cell, model.arguments),
                partial(self._split_hash, task, rule.split, *opened),
                model,
            )
        return self._resolved[cell]

    def _split_hash(self, task: TaskCard, split: str, dataset: Dataset, manifest: Manifest) -> str:
        """Name a task's split; encoders, fractions and seeds share it."""
        place = (task.name, split)
        if place not in self._splits:
            self._splits[place] = divided(task, split, dataset, manifest)[1].hash
        return self._splits[place]

    def key(self, cell: Cell, content: str) -> str:
        """Return a cell's key on data of a given content hash, without opening them."""
        return key_of(self._identity(cell, self.settings.checkpoint(cell.card))(content))

    def _identity(self, cell: Cell, checkpoint: Path | None) -> Callable[[str], dict[str, Any]]:
        model = self.models.get(cell.card)
        return identity_of(
            cell,
            self.catalogue.tasks[cell.task],
            self.catalogue.protocols[cell.protocol],
            self.catalogue.encoders[cell.card],
            checkpoint=checkpoint,
            weights=model.digest if model is not None else "",
        )

    def finished(self, cell: Resolved) -> Record | None:
        """Return the record of a cell that needs no more work.

        Raises:
            InputError: there is one, and the images cannot be divided to compare.
        """
        return None if self.options.force else cell.recorded(self.store)

    def locate_failure(self, cell: Cell) -> tuple[str, Path]:
        """Return a cell's key and the path of its failure record, also where the data cannot be read."""
        try:
            found = self.resolve(cell)
            key, path = found.key, found.path
        except InputError:
            task = self.catalogue.tasks[cell.task]
            there = self.source.state_of(task)
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
