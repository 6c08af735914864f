"""The data of one cell: which images train, validate and test, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.task import PUBLISHED
from g2d_bench.data.cache import MaskCache, PixelCache
from g2d_bench.data.crossed import Joined
from g2d_bench.data.divide import divide, leak_pixels, positive_ids, usable
from g2d_bench.data.leaks import find_leaks, require_no_leaks, shared_in_words
from g2d_bench.data.legacy_splits import (
    balanced,
    choose_fraction,
    legacy_split,
    partial_masks,
)
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.shots import take_shots
from g2d_bench.data.splits import Split, take_fraction
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.fit import Fit
from g2d_bench.readers.images import Letterbox

if TYPE_CHECKING:
    from g2d_bench.cards.protocol import Protocol
    from g2d_bench.cards.task import TaskCard


def divided(
    task: TaskCard, split: str, dataset: Dataset, manifest: Manifest
) -> tuple[dict[str, Sample], Split]:
    """Return the images that a task is about, by id and their labels read, and how they are divided.

    Args:
        task: the task's card.
        split: names the split rule.
        dataset: the reader.
        manifest: its images.

    Raises:
        InputError: see :func:`~g2d_bench.data.divide.usable` and :func:`~g2d_bench.data.divide.divide`.
    """
    if isinstance(dataset, Joined):
        # Labels were read, and images divided, when the two data sets were joined.
        return {sample.id: sample for sample in manifest.samples}, dataset.split
    samples = {sample.id: sample for sample in usable(manifest.samples, task)}
    return samples, divide(task, split, list(samples.values()), dataset)


class TaskData:
    """One task's images under one split rule, with the training fraction drawn for one seed.

    Args:
        task: the task's card.
        protocol: names the split rule.
        manifest: the data set with hashes.
        dataset: the reader, for pixels and masks.
        fraction: share of the training patients in use.
        seed: which nested draw.
        shots: images per class, in the place of the fraction; 0 for none.

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
        shots: int = 0,
    ) -> None:
        self.task = task
        self.dataset = dataset
        self.manifest = manifest
        self.blind = False
        """Whether nobody looks at the pixels, so that none are decoded: all images' vectors are given."""
        self.split_name = protocol.split
        self.fraction = fraction
        self.short: dict[str, int] = {}
        """Classes of which there are fewer training images than shots, and how many there are."""
        self.samples, self.split = divided(task, protocol.split, dataset, manifest)
        if protocol.draw == "published":
            self.train = self._published_draw(fraction, seed)
        elif shots:
            own_id = dataset.own_id if isinstance(dataset, Joined) else str
            self.train, self.short = take_shots(self.samples, self.split.train, shots, seed, task, own_id)
            # What a protocol says of small fractions holds for as few images drawn otherwise.
            self.fraction = len(self.train) / len(self.split.train)
        else:
            self.train = take_fraction(
                list(self.samples.values()),
                self.split.train,
                fraction,
                seed=seed,
                task=task.drawn_as,
                labels=task.labels,
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
        draw = KINDS[self.task.kind].drawn or choose_fraction
        return tuple(sorted(draw(ordered, fraction, seed)))

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

    def why_undefined(self, metric: str) -> str:
        """Say why a metric of the test set has no value: which labels it shows nowhere, or everywhere."""
        _, _, label = metric.partition("/")
        wanted = (label,) if label in self.task.labels else self.task.labels
        table = self.targets(self.test)[:, [self.task.labels.index(name) for name in wanted]]
        found = []
        for value, words in ((1, "no test image shows"), (0, "no test image is without")):
            lacking = [name for k, name in enumerate(wanted) if not (table[:, k] == value).any()]
            if lacking:
                more = f" and {len(lacking) - 4} more labels" if len(lacking) > 5 else ""
                found.append(f"{words} {', '.join(lacking[:4] if more else lacking)}{more}")
        return " and ".join(found) or "it has nothing to count on this test set"

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

    def pixels(self, size: int, fit: Fit | None = None) -> PixelCache:
        """Open the decoded images as squares of ``size`` pixels, letterboxed unless told otherwise."""
        if self.blind:
            shape = (len(self.manifest.samples), size, size)
            return PixelCache(self.manifest, np.broadcast_to(np.uint8(0), shape))
        return PixelCache.open(self.dataset, self.manifest, size, fit=fit)

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
        # All fractions and seeds of a task share a split: it is looked at once per process.
        marker = (self.task.name, self.manifest.content_hash, self.split.hash)
        if marker not in _checked:
            if self.task.split[self.split_name].function:
                shared = shared_in_words(find_leaks(self.split, self.manifest))
                _checked[marker] = f"{PUBLISHED}{shared} in common" if shared else ""
            else:
                require_no_leaks(self.split, self.manifest, self.leak_pixels())
                _checked[marker] = ""
        return _checked[marker]

    def leak_pixels(self) -> PixelCache | None:
        """Return the pixels among which near-duplicates mean a leak; None for generated data."""
        return leak_pixels(self.dataset, self.manifest)


_checked: dict[tuple[str, str, str], str] = {}
"""What :meth:`TaskData.check_leaks` said, by task, content of the data, and split."""
