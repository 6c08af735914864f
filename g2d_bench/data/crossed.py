"""Trained on one data set, tested on another: both as one, of which one part trains and the other tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.divide import divide, leak_pixels, told, usable
from g2d_bench.data.leaks import find_leaks
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import Split
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json
from g2d_bench.progress import tell_once
from g2d_bench.readers.base import Dataset, Sample

if TYPE_CHECKING:
    from g2d_bench.cards.task import Elsewhere, TaskCard

Opened = tuple[Dataset, Manifest]


@dataclass(frozen=True)
class Training:
    """What a cell trained on that is tested elsewhere, for its record and for whoever looks for its inside
    score.

    Attributes:
        task: that trains alike and tests on the same data set; "" where the card names none.
        dataset: the data set.
        kind: ``phantom`` or ``real``.
        hash: content hash of the whole data set.
        split_hash: of its own split.
    """

    task: str
    dataset: str
    kind: str
    hash: str
    split_hash: str


class Joined(Dataset):
    """Training and validation images of one data set and test images of another.

    Args:
        name: of both.
        inside: the reader of the training images.
        outside: the reader of the test images.
        labels: a label of the task to those of ``outside`` that mean it.
        owners: id to the original sample and its reader.
        split: which images train, validate and test.
        training: what the record says of the training images.
        left_out: which test images are left out since training has them, too, in words; "" for none.
    """

    name: ClassVar[str] = "joined"
    title: ClassVar[str] = "two data sets"
    labels: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        name: str,
        inside: Dataset,
        outside: Dataset,
        labels: Mapping[str, tuple[str, ...]],
        owners: Mapping[str, tuple[Dataset, Sample]],
        split: Split,
        training: Training,
        left_out: str = "",
    ) -> None:
        super().__init__(outside.root)
        self.name = name  # type: ignore[misc]
        self._inside, self._outside = inside, outside
        self._labels, self._owners = labels, owners
        self.split, self.training, self.left_out = split, training, left_out
        # Generated patients share one anatomy, so a generated film resembles others.
        self.likeness = inside.kind == outside.kind == "real"

    @property
    def kind(self) -> str:
        """That of the test images."""
        return self._outside.kind

    @property
    def tested_on(self) -> str:
        """Name of the data set of the test images."""
        return self._outside.name

    def own_id(self, name: str) -> str:
        """Return what an image is called in its own data set, by which a task on that alone draws it."""
        return self._owners[name][1].id

    def samples(self) -> list[Sample]:
        """Return the samples; their labels and boxes are in the words of the task."""
        raise InputError("two data sets are joined by a task, not read")

    def read_image(self, sample: Sample) -> NDArray[np.uint8]:
        """Decode one image by its own reader; see :meth:`Dataset.read_image`."""
        reader, own = self._owners[sample.id]
        return reader.read_image(own)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Decode a mask by the image's own reader: of all labels that mean this one."""
        reader, own = self._owners[sample.id]
        if reader is self._inside:
            return reader.read_mask(own, shape, label)
        mask = np.zeros(shape, np.bool_)
        for theirs in self._labels[label]:
            if own.labels.get(theirs, 0) == 1:
                mask |= reader.read_mask(own, shape, theirs)
        return mask


def cross(task: TaskCard, split_name: str, inside: Opened, outside: Opened) -> tuple[Joined, Manifest]:
    """Join the training part of a task's data set with the test part of the one that it is tested on.

    Test images of patients that are among the training or validation images are left out: by patient where
    both data sets number the same people, by file, and on real films by likeness of the pixels.

    Args:
        task: a card with ``[test]``.
        split_name: names the rule that divides the training data set.
        inside: the data set that trains.
        outside: the data set that tests.

    Raises:
        InputError: a part would be empty, no test image tells a label, or every one is in training, too.
    """
    rule = task.test
    assert rule is not None
    own = {sample.id: sample for sample in usable(inside[1].samples, task)}
    divided = divide(task, split_name, list(own.values()), inside[0])
    theirs = their_task(task)
    tested = {sample.id: sample for sample in usable(outside[1].samples, theirs)}
    chosen = (
        tuple(sorted(tested))
        if rule.split is None
        else divide(theirs, "clean", list(tested.values()), outside[0]).test
    )
    # Of several counterparts one may be known, and yet not whether any of them is there.
    mapped = told([_mapped(tested[name], rule) for name in chosen], task)
    if not mapped:
        raise InputError(
            f"no test image tells {', '.join(task.labels)}", file=outside[0].root, field="test.labels"
        )
    # Ids of two data sets may be alike; those of the test images, which stand in records, stay as they are.
    mark = f"{'generated ' if _mixed(inside, outside) else ''}{inside[0].name}/"
    same_people = inside[0].people == outside[0].people and inside[0].kind == outside[0].kind
    samples: dict[str, tuple[Opened, Sample, Sample]] = {}
    for part in (divided.train, divided.val):
        for name in part:
            samples[mark + name] = (inside, own[name], replace(own[name], id=mark + name))
    for sample in mapped:
        patient = sample.patient if same_people else f"{outside[0].name}/{sample.patient}"
        samples[sample.id] = (outside, tested[sample.id], replace(sample, patient=patient))
    manifest = _manifest(task, inside, outside, samples)
    whole = Split(
        divided.name,
        tuple(mark + name for name in divided.train),
        tuple(mark + name for name in divided.val),
        tuple(sample.id for sample in mapped),
    )
    owners = {name: (opened[0], original) for name, (opened, original, _) in samples.items()}
    training = Training(task.inside, inside[0].name, inside[1].kind, inside[1].content_hash, divided.hash)
    joined = Joined(task.data_name, inside[0], outside[0], rule.their_labels, owners, whole, training)
    split, left_out = _without_shared(whole, joined, manifest)
    if left_out:
        tell_once(f"{task.name}: {left_out}")
    joined.split, joined.left_out = split, left_out
    return joined, manifest


def their_task(task: TaskCard) -> TaskCard:
    """Return the task in the words of the data set that it is tested on, with its rule as split ``clean``.

    By the name of a rule its parts are drawn: under this one they are those of a task on that data set whose
    card divides it alike.
    """
    rule = task.test
    assert rule is not None
    labels = tuple(dict.fromkeys(name for names in rule.their_labels.values() for name in names))
    return task.model_copy(
        update={
            "dataset": rule.dataset,
            "labels": labels,
            "where": rule.where,
            "uncertain": rule.uncertain,
            "unmentioned": rule.unmentioned,
            "split": {} if rule.split is None else {"clean": rule.split},
        }
    )


def _mixed(inside: Opened, outside: Opened) -> bool:
    return inside[1].kind != outside[1].kind


def _mapped(sample: Sample, rule: Elsewhere) -> Sample:
    """Return a test sample in the words of the task: present if any of a label's counterparts is."""
    labels = {}
    for ours, theirs in rule.their_labels.items():
        values = [sample.labels.get(name, math.nan) for name in theirs]
        unknown = math.nan if any(math.isnan(value) for value in values) else 0.0
        labels[ours] = 1.0 if 1 in values else unknown
    boxes = tuple(
        replace(box, label=ours)
        for box in sample.boxes
        for ours, theirs in rule.their_labels.items()
        if box.label in theirs
    )
    return replace(sample, labels=labels, boxes=boxes)


def _manifest(
    task: TaskCard,
    inside: Opened,
    outside: Opened,
    samples: Mapping[str, tuple[Opened, Sample, Sample]],
) -> Manifest:
    """Put together what the manifests of both data sets know of these images."""
    names = sorted(samples)
    places = [samples[name][0][1].index[samples[name][1].id] for name in names]
    manifests = [samples[name][0][1] for name in names]
    assert task.test is not None
    both = (inside[1], outside[1])
    content = [inside[1].content_hash, outside[1].content_hash, names, task.labels, task.test.their_labels]
    return Manifest(
        dataset=task.data_name,
        kind=outside[1].kind,
        samples=tuple(samples[name][2] for name in names),
        sha256=tuple(manifest.sha256[place] for manifest, place in zip(manifests, places, strict=True)),
        sizes=np.array(
            [manifest.sizes[place] for manifest, place in zip(manifests, places, strict=True)], np.int32
        ).reshape(-1, 2),
        content_hash=digest_json(content),
        decoder=digest_json([one.decoder for one in both]) if any(one.decoder for one in both) else "",
    )


def _without_shared(split: Split, joined: Joined, manifest: Manifest) -> tuple[Split, str]:
    """Leave out the test images of patients that train or validate, too."""
    leaks = find_leaks(split, manifest, leak_pixels(joined, manifest))
    index = manifest.index
    shared = {leak.b: leak.kind for leak in leaks if leak.split_b == "test"}
    if not shared:
        return split, ""
    people = {manifest.samples[index[name]].patient for name in shared}
    # One leak names one image; its file or patient may be that of others, too.
    files = {manifest.sha256[index[name]] for name, kind in shared.items() if kind == "file"}
    gone = {
        name
        for name in split.test
        if manifest.samples[index[name]].patient in people or manifest.sha256[index[name]] in files
    }
    kept = tuple(name for name in split.test if name not in gone)
    kinds = ", ".join(sorted(set(shared.values())))
    words = (
        f"{len(gone):,} of {len(split.test):,} test images of {joined.tested_on} are left out: they are of "
        f"{len(people):,} patients that are among the training images, too (found by {kinds})"
    )
    if not kept:
        raise InputError(f"{words}; none is left", file=Path(joined.root), field="test")
    return Split(split.name, split.train, split.val, kept), words
