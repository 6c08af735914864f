"""A few training images per class, in the place of a share of all: nested, by patient, drawn from names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cards.task import TaskCard
    from g2d_bench.readers.base import Sample

NONE = "none of them"
"""The class of the images that show no label of the task."""


def take_shots(
    samples: Mapping[str, Sample],
    ids: Collection[str],
    shots: int,
    seed: int,
    task: TaskCard,
    own_id: Callable[[str], str] = str,
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Draw a number of training images of each class for one seed.

    A class is a label of the task; where labels do not exclude each other, the images that are known to show
    none of them are a class, too, since a label alone has nothing to be told from. Each class is drawn by
    itself: its patients stand in the order of ``sha256("task:seed:class:patient")``, and first one image of
    each is taken (that with the smallest hash of its id), then a second one of those that have more, until
    there are enough. So fewer shots are part of more, and few shots are of as many patients. An image that
    shows several labels may be drawn for each of them, so that a task of several labels gets at most
    ``shots`` images per class and a label may be shown by more of them, as is usual in the field.

    Args:
        samples: id to sample, at least those of ``ids``.
        ids: the images from which to draw.
        shots: images per class, 1 or more.
        seed: draws other images.
        task: names, labels and whether they exclude each other.
        own_id: from an id to that by which the image is drawn, where two data sets are joined.

    Returns:
        Sorted ids, and the classes that have fewer images, with their number.

    Raises:
        InputError: no training image shows some class of a task whose labels exclude each other, or none
            shows any label.
    """
    classes: dict[str, list[Sample]] = {label: [] for label in task.labels}
    if not task.exclusive:
        classes[NONE] = []
    for name in sorted(ids):
        sample = samples[name]
        shown = [label for label in task.labels if sample.labels.get(label) == 1]
        for label in shown:
            classes[label].append(sample)
        if not shown and not task.exclusive and all(sample.labels.get(n) == 0 for n in task.labels):
            classes[NONE].append(sample)
    empty = [label for label in task.labels if not classes[label]]
    if (empty and task.exclusive) or len(empty) == len(task.labels):
        raise InputError(
            f"no training image shows {', '.join(empty)}", file=f"{task.name}.toml", field="shots"
        )
    taken: set[str] = set()
    for label, held in classes.items():
        taken.update(_ordered(held, f"{task.drawn_as}:{seed}:{label}", own_id)[:shots])
    return tuple(sorted(taken)), {name: len(held) for name, held in classes.items() if len(held) < shots}


def _ordered(samples: Collection[Sample], salt: str, own_id: Callable[[str], str]) -> list[str]:
    """Put a class in the order in which it is drawn: patient by patient, then their second images."""

    def place(name: str) -> str:
        return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()

    patients: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        patients[sample.patient].append(sample.id)
    return [
        image
        for *_, image in sorted(
            (turn, place(patient), image)
            for patient, images in patients.items()
            for turn, image in enumerate(sorted(images, key=lambda image: place(own_id(image))))
        )
    ]
