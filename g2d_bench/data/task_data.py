"""The data of one cell: which images train, validate and test, and their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from g2d_bench.data.base import Dataset, Sample
from g2d_bench.data.cache import MaskCache, PixelCache
from g2d_bench.data.leaks import require_no_leaks
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.registry import dataset_class, open_dataset
from g2d_bench.data.splits import Split, make_split, take_fraction
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cards import Protocol, SplitRule, TaskCard


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Attributes:
        root: the user's folder of real data, or None for generated data.
        phantom: the folder under which generated data are kept.
    """

    root: Path | None
    phantom: Path

    @property
    def kind(self) -> str:
        """``real`` when a root is configured, else ``phantom``."""
        return "phantom" if self.root is None else "real"

    def open(self, name: str) -> Dataset:
        """Open a data set; generated ones are made on first use.

        Raises:
            InputError: the root lacks the data set.
        """
        if self.root is not None:
            return open_dataset(name, self.root)
        from g2d_bench.data.phantom import ensure

        return dataset_class(name)(ensure(name, root=self.phantom))

    def state(self, name: str) -> str:
        """Return ``real``, ``phantom`` or ``no``: what is there of a data set, without making it."""
        try:
            return open_dataset(name, self.root or self.phantom).kind
        except InputError:
            return "no"


class TaskData:
    """One task's images under one split rule, with the training fraction drawn for one seed.

    Args:
        task: the task's card.
        protocol: names the split rule.
        manifest: the data set with hashes.
        dataset: the reader, for pixels and masks.
        fraction: share of the training patients in use.
        seed: which nested draw.

    Raises:
        InputError: the split leaves a part empty, or the rule is unknown.
        LeakError: patients, files or near-duplicates are shared between the parts.
    """

    def __init__(
        self,
        task: TaskCard,
        protocol: Protocol,
        dataset: Dataset,
        manifest: Manifest,
        fraction: float,
        seed: int,
    ) -> None:
        self.task = task
        self.dataset = dataset
        self.manifest = manifest
        self.split_name = protocol.split
        self.samples: dict[str, Sample] = {
            sample.id: sample for sample in usable(manifest.samples, task.labels)
        }
        self.split = divide(task, protocol.split, list(self.samples.values()))
        self.train = take_fraction(
            list(self.samples.values()),
            self.split.train,
            fraction,
            seed=seed,
            task=task.name,
            labels=task.labels,
        )

    @property
    def val(self) -> tuple[str, ...]:
        """Ids of the validation images."""
        return self.split.val

    @property
    def test(self) -> tuple[str, ...]:
        """Ids of the test images."""
        return self.split.test

    def patients(self, ids: tuple[str, ...]) -> list[str]:
        """Return the patient of each image."""
        return [self.samples[i].patient for i in ids]

    def positives(self, ids: tuple[str, ...]) -> int:
        """Count the images that show at least one of the task's labels."""
        return sum(any(self.samples[i].labels.get(name) == 1 for name in self.task.labels) for i in ids)

    def pixels(self, size: int) -> PixelCache:
        """Open the decoded images as letterboxed squares of ``size`` pixels."""
        return PixelCache.open(self.dataset, self.manifest, size)

    @cached_property
    def masks(self) -> MaskCache:
        """The masks of the task's first label on the task's evaluation grid."""
        return MaskCache.open(self.dataset, self.manifest, self.task.labels[0], self.task.eval_size)

    def check_leaks(self) -> None:
        """Stop when the parts of the split share anything."""
        require_no_leaks(self.split, self.manifest, self.pixels(LEAK_SIZE))


LEAK_SIZE = 128
"""Pixels per side at which images are compared for near-duplicates."""


def usable(samples: list[Sample] | tuple[Sample, ...], labels: tuple[str, ...]) -> list[Sample]:
    """Keep the samples of which at least one of a task's labels is known."""
    kept = [
        sample
        for sample in samples
        if any(not math.isnan(sample.labels.get(label, math.nan)) for label in labels)
    ]
    if not kept:
        raise InputError(f"no image carries the labels {', '.join(labels)}")
    return kept


def divide(task: TaskCard, name: str, samples: list[Sample]) -> Split:
    """Apply a card's split rule.

    Raises:
        InputError: the card has no such rule, or a part would be empty.
    """
    if name not in task.split:
        raise InputError(
            f"the task has no split {name!r} (it has {', '.join(task.split)})", file=f"{task.name}.toml"
        )
    rule: SplitRule = task.split[name]
    if rule.ratios is not None:
        return make_split(samples, ratios=rule.ratios, salt=f"{task.dataset}/{name}", strata=task.labels)
    raise InputError(f"the split {name!r} cannot be made yet", file=f"{task.name}.toml", field="split")
