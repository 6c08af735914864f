"""The data of one cell: which images train, validate and test, and their pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.base import Dataset, Sample
from g2d_bench.data.cache import MaskCache, PixelCache
from g2d_bench.data.images import Letterbox
from g2d_bench.data.leaks import find_leaks, require_no_leaks, shared_in_words
from g2d_bench.data.legacy_splits import (
    balanced,
    choose_fraction,
    legacy_split,
    partial_masks,
    sample_fraction,
)
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.registry import dataset_class, open_dataset
from g2d_bench.data.splits import Split, hold_out, listed_split, make_split, take_fraction
from g2d_bench.errors import InputError
from g2d_bench.progress import tell_once

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
        """Return ``real``, ``phantom`` or ``no``: what is there of a data set, without making it.

        Generated data of another generator's code are not there: :meth:`open` makes them anew.
        """
        from g2d_bench.data.phantom import is_current

        try:
            if self.root is None:
                return "phantom" if is_current(name, root=self.phantom) else "no"
            return open_dataset(name, self.root).kind
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
        self.fraction = fraction
        self.samples: dict[str, Sample] = {sample.id: sample for sample in usable(manifest.samples, task)}
        self.split = divide(task, protocol.split, list(self.samples.values()), dataset)
        self.train = (
            self._published_draw(fraction, seed)
            if protocol.draw == "published"
            else take_fraction(
                list(self.samples.values()),
                self.split.train,
                fraction,
                seed=seed,
                task=task.name,
                labels=task.labels,
            )
        )

    def _published_draw(self, fraction: float, seed: int) -> tuple[str, ...]:
        """Draw a fraction by image, from the training images in the order of the published code."""
        rule = self.task.split[self.split_name]
        ordered: tuple[str, ...] = self.split.train
        if rule.function:
            ordered = legacy_split(rule.function, self.dataset).train
            ordered = tuple(image for image in ordered if image in self.samples)
        if rule.balance:
            ordered = balanced(ordered, [bool(self.positives((image,))) for image in ordered])
        drawn = (
            sample_fraction(ordered, fraction)
            if self.task.kind == "classification"
            else choose_fraction(ordered, fraction, seed)
        )
        return tuple(sorted(drawn))

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
        return len(positive_ids((self.samples[i] for i in ids), self.task.labels))

    def targets(self, ids: Sequence[str]) -> NDArray[np.float64]:
        """Return 1 (present), 0 (absent) or NaN (unknown) per image and label of the task, [N, C].

        Raises:
            InputError: the labels exclude each other by the card, but not on an image.
        """
        table = np.array(
            [[self.samples[i].labels.get(name, np.nan) for name in self.task.labels] for i in ids]
        )
        table = table.reshape(len(ids), len(self.task.labels))
        if self.task.exclusive:
            wrong = np.flatnonzero(np.isnan(table).any(axis=1) | (table.sum(axis=1) != 1))
            if wrong.size:
                message = (
                    f"image {ids[wrong[0]]!r} does not show exactly one of {', '.join(self.task.labels)}"
                )
                raise InputError(message, file=f"{self.task.name}.toml", field="exclusive")
        return table

    def pixels(self, size: int) -> PixelCache:
        """Open the decoded images as letterboxed squares of ``size`` pixels."""
        return PixelCache.open(self.dataset, self.manifest, size)

    @cached_property
    def masks(self) -> MaskCache:
        """The masks of the task's first label on the task's evaluation grid."""
        return MaskCache.open(self.dataset, self.manifest, self.task.labels[0], self.task.eval_size)

    def mask_bits(self, part: str) -> NDArray[np.uint8]:
        """Return the masks of a part (``train``, ``val``, ``test``) as :attr:`MaskCache.bits`, in its order.

        By the defect of a published split, an image may stand in a part with some of its mask only.
        """
        ids = {"train": self.train, "val": self.val, "test": self.test}[part]
        bits = self.masks.bits[self.masks.rows(ids)]
        rule = self.task.split[self.split_name]
        partial = partial_masks(rule.function, self.dataset).get(part, {}) if rule.function else {}
        for place, image in enumerate(ids):
            if image in partial:
                shape = tuple(int(side) for side in self.manifest.sizes[self.manifest.rows([image])[0]])
                sample = replace(self.samples[image], annotation=partial[image])
                mask = self.dataset.read_mask(sample, (shape[0], shape[1]), self.task.labels[0])
                square = Letterbox.of((shape[0], shape[1]), self.task.eval_size).mask_forward(mask)
                bits[place] = np.packbits(square)
        return bits

    def check_leaks(self) -> str:
        """Stop when the parts of the split share anything; of a published split, say what they share.

        A published split is kept with its defects, which its card names. Generated patients differ by
        construction but share one anatomy: there, likeness of pixels says nothing, and only patients and
        files are compared.

        Returns:
            Empty, or what the parts of a published split share.
        """
        if not self.task.split[self.split_name].function:
            require_no_leaks(self.split, self.manifest, self.leak_pixels())
            return ""
        shared = shared_in_words(find_leaks(self.split, self.manifest))
        return f"published split, kept as it is: {shared} in common" if shared else ""

    def leak_pixels(self) -> PixelCache | None:
        """Return the pixels among which near-duplicates mean a leak; None for generated data."""
        return leak_pixels(self.dataset, self.manifest)


def positive_ids(samples: Iterable[Sample], labels: Sequence[str]) -> set[str]:
    """Return the ids of the images that show at least one of some labels."""
    return {sample.id for sample in samples if any(sample.labels.get(name) == 1 for name in labels)}


LEAK_SIZE = 128
"""Pixels per side at which images are compared for near-duplicates."""


def leak_pixels(dataset: Dataset, manifest: Manifest) -> PixelCache | None:
    """Return the pixels among which near-duplicates mean a leak; None for generated data.

    Generated patients share one anatomy: there, likeness says nothing.
    """
    return PixelCache.open(dataset, manifest, LEAK_SIZE) if manifest.kind == "real" else None


def usable(samples: Sequence[Sample], task: TaskCard) -> list[Sample]:
    """Keep the samples that a task is about, their labels read as its card says.

    Returns:
        The samples for which the task's ``where`` holds and of which at least one of its labels is known,
        after uncertain and unmentioned labels got the values that the card gives them.

    Raises:
        InputError: none is left.
    """
    chosen = [s for s in samples if all(s.meta.get(key) == value for key, value in task.where.items())]
    kept = [
        sample
        for sample in (_resolved(sample, task) for sample in chosen)
        if any(not math.isnan(sample.labels.get(label, math.nan)) for label in task.labels)
    ]
    if not kept:
        where = "".join(f" with {key} {value!r}" for key, value in task.where.items())
        raise InputError(f"no image{where} carries the labels {', '.join(task.labels)}")
    return kept


def _resolved(sample: Sample, task: TaskCard) -> Sample:
    """Return the sample with a value instead of -1 and, where the card gives one, of NaN."""
    changed: dict[str, float] = {}
    for name in task.labels:
        value = sample.labels.get(name, math.nan)
        if value == -1:
            meant = task.uncertain.get(name, task.uncertain.get("default", "ignore"))
            changed[name] = math.nan if meant == "ignore" else float(meant)
        elif math.isnan(value) and task.unmentioned != "ignore":
            changed[name] = float(task.unmentioned)
    return replace(sample, labels={**sample.labels, **changed}) if changed else sample


def divide(task: TaskCard, name: str, samples: list[Sample], dataset: Dataset) -> Split:
    """Apply a card's split rule; where it names an id list, that holds for real data.

    Ids of the list that the release lacks are left out, and data of which no image is in the list follow the
    rule; either is said once on stderr.

    Raises:
        InputError: the card has no such rule, a part would be empty, or some images are not in the id list.
    """
    if name not in task.split:
        raise InputError(
            f"the task has no split {name!r} (it has {', '.join(task.split)})", file=f"{task.name}.toml"
        )
    rule: SplitRule = task.split[name]
    if rule.ids is None or dataset.kind != "real":
        return apply_rule(task, name, samples, dataset)
    split, missing = listed_split(rule.ids, samples, name)
    if split is None:
        tell_once(
            f"{task.dataset}: no image is in {rule.ids.name}: this is other data in the same layout, divided "
            "by the card's rule"
        )
        return apply_rule(task, name, samples, dataset)
    if missing:
        tell_once(
            f"{task.dataset}: {missing:,} of {missing + len(samples):,} ids in {rule.ids.name} are not in "
            "this release; they are left out, and the hash of the split says so in every signature"
        )
    return split


def apply_rule(task: TaskCard, name: str, samples: list[Sample], dataset: Dataset) -> Split:
    """Compute a card's split, whether or not it names an id list.

    Raises:
        InputError: a part would be empty, or the release does not assign what the rule asks for.
    """
    rule: SplitRule = task.split[name]
    salt = f"{task.dataset}/{name}"
    if rule.ratios is not None:
        return make_split(samples, ratios=rule.ratios, salt=salt, strata=task.labels)
    if rule.official:
        return _official(task, rule, salt, samples)
    legacy = legacy_split(rule.function, dataset)
    known = {sample.id for sample in samples}
    parts = (legacy.train, legacy.valid, legacy.test)
    return Split(name, *(tuple(i for i in part if i in known) for part in parts))


OFFICIAL = {"train": "train", "valid": "val", "val": "val", "validate": "val", "test": "test"}
"""Words of the releases for the parts of their split."""


def _official(task: TaskCard, rule: SplitRule, salt: str, samples: list[Sample]) -> Split:
    """Take the split that the release assigns, and draw from train what it lacks for validation."""
    parts: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for sample in samples:
        if sample.split not in OFFICIAL:
            message = f"the release assigns image {sample.id!r} to no part; are its lists there?"
            raise InputError(message, file=f"{task.name}.toml", field="split.official")
        parts[OFFICIAL[sample.split]].append(sample)
    ids = {part: tuple(sample.id for sample in held) for part, held in parts.items()}
    if rule.val_share is not None:
        if ids["val"]:
            message = "the release assigns a validation part; leave val_share out"
            raise InputError(message, file=f"{task.name}.toml", field="split.val_share")
        ids["train"], ids["val"] = hold_out(
            parts["train"], share=rule.val_share, salt=salt, strata=task.labels
        )
    return Split("official", ids["train"], ids["val"], ids["test"])
