"""Where data come from: the user's folders, or the generated ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from g2d_bench.data.divide import check_labels
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
from g2d_bench.readers.registry import dataset_class, open_dataset

if TYPE_CHECKING:
    from g2d_bench.cards.task import TaskCard


class Source:
    """Where data come from.

    Attributes:
        root: the user's folder of real data, or None for generated data.
        phantom: the folder under which generated data are kept.
    """

    def __init__(self, root: Path | None, phantom: Path) -> None:
        self.root, self.phantom = root, phantom
        self._generated: Source | None = None
        self._opened: dict[str, tuple[Dataset, Manifest] | InputError] = {}

    def opened(self, name: str) -> tuple[Dataset, Manifest]:
        """Open a data set and its manifest, once; a bad one is not read again for every cell, either.

        Raises:
            InputError: it is not there or malformed.
        """
        if name not in self._opened:
            try:
                dataset = self.open(name)
                self._opened[name] = (dataset, Manifest.open(dataset))
            except InputError as error:
                self._opened[name] = error
        found = self._opened[name]
        if isinstance(found, InputError):
            raise found
        return found

    def of_task(self, task: TaskCard, split: str) -> tuple[Dataset, Manifest]:
        """Open what a task trains and tests on, once: its data set, or two of them joined.

        Args:
            task: the task.
            split: names the split rule, by which two data sets are joined.

        Raises:
            InputError: see :func:`~g2d_bench.data.divide.check_labels`, :meth:`opened` and
                :func:`g2d_bench.data.crossed.cross`.
        """
        # Before anything is generated or read: a misspelt card shall not cost minutes.
        check_labels(task, getattr(dataset_class(task.dataset), "labels", ()))
        if task.test is None:
            return self.opened(task.dataset)
        from g2d_bench.data.crossed import cross, their_task

        check_labels(their_task(task), getattr(dataset_class(task.test.dataset), "labels", ()))
        key = f"{task.name}/{split}/{task.digest(split)}"
        if key not in self._opened:
            try:
                inside = self._trained(task).opened(task.dataset)
                self._opened[key] = cross(task, split, inside, self.opened(task.test.dataset))
            except InputError as error:
                self._opened[key] = error
        found = self._opened[key]
        if isinstance(found, InputError):
            raise found
        return found

    def _trained(self, task: TaskCard) -> Source:
        """Return where the training images of a task come from."""
        if self.root is None or task.test is None or task.test.training != "phantom":
            return self
        if self._generated is None:
            self._generated = Source(None, self.phantom)
        return self._generated

    def state_of(self, task: TaskCard) -> str:
        """Return :meth:`state` of a task's data; of two data sets that of the test images, ``no`` without
        either."""
        if task.test is None:
            return self.state(task.dataset)
        states = (self._trained(task).state(task.dataset), self.state(task.test.dataset))
        return "no" if "no" in states else states[1]

    @property
    def kind(self) -> str:
        """``real`` when a root is configured, else ``phantom``."""
        return "phantom" if self.root is None else "real"

    def open(self, name: str) -> Dataset:
        """Open a data set; generated ones are made on first use.

        Raises:
            InputError: the root lacks the data set.
        """
        if self.root is None:
            from g2d_bench.phantom import ensure

            folder = ensure(name, root=self.phantom)
            return dataset_class(name)(folder)
        return open_dataset(name, self.root)

    def state(self, name: str) -> str:
        """Return ``real``, ``phantom`` or ``no``: what is there of a data set, without making it.

        Generated data of another generator's code are not there: :meth:`open` makes them anew.
        """
        from g2d_bench.phantom import is_current

        try:
            if self.root is None:
                return "phantom" if is_current(name, root=self.phantom) else "no"
            return open_dataset(name, self.root).kind
        except InputError:
            return "no"
