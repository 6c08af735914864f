"""A test set of as many images of each class, each showing it alone: the 5x200 and 8x200 of papers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from g2d_bench.data.splits import Split, hold_out
from g2d_bench.errors import InputError
from g2d_bench.progress import tell_once
from g2d_bench.readers.base import Sample

if TYPE_CHECKING:
    from g2d_bench.cards.task import SplitRule, TaskCard

TESTED = 0.75
"""Share of the rarest class's patients that may be tested on; the others are left to ask, or to train."""


def per_label(task: TaskCard, rule: SplitRule, name: str, salt: str, samples: Sequence[Sample]) -> Split:
    """Draw the same number of images per label for the test part, by hash of their ids.

    The published lists were drawn without a seed, or differ under one name, or lie behind an agreement.
    GLoRIA (Huang et al., ICCV 2021) drew 5x200 of CheXpert's training images that show one competition
    finding alone. This rule draws from all images of a task; an image counts for a label if that label is 1
    and the task's others are 0. Each patient gives one image, and nothing else of that patient is used.

    Args:
        task: of which the labels are the classes.
        rule: with ``per_label``, the most images per label, and ``val_share``.
        name: of the split.
        salt: names the draw.
        samples: with uncertain and unmentioned labels resolved.

    Returns:
        Of each label as many images as of the others: ``per_label``, or three quarters of the patients of
        the rarest label where that is less.

    Raises:
        InputError: fewer than two patients show a label alone.
    """

    def place(label: str, word: str) -> str:
        return hashlib.sha256(f"{salt}/{label}:{word}".encode()).hexdigest()

    pools: dict[str, list[Sample]] = {}
    for label in task.labels:
        alone = [s for s in samples if all(s.labels.get(n) == (n == label) for n in task.labels)]
        pools[label] = sorted(alone, key=lambda sample: place(label, sample.id))
    people = {label: len({sample.patient for sample in pool}) for label, pool in pools.items()}
    rarest = min(task.labels, key=people.__getitem__)
    most = int(people[rarest] * TESTED)
    if not most:
        raise InputError(f"fewer than two patients show {rarest!r} alone", file=f"{task.name}.toml")
    assert rule.per_label is not None
    assert rule.val_share is not None
    count = min(rule.per_label, most)
    if count < rule.per_label:
        tell_once(f"{task.name}: {count} instead of {rule.per_label} images per label, for want of {rarest}")
    test: list[str] = []
    taken: set[str] = set()
    # The rarest first: its patients may show another label on another image.
    for label in sorted(task.labels, key=lambda label: (people[label], label)):
        drawn = 0
        for sample in pools[label]:
            if drawn < count and sample.patient not in taken:
                test.append(sample.id)
                taken.add(sample.patient)
                drawn += 1
        if drawn < count:
            raise InputError(f"only {drawn} patients are left for {label!r}", file=f"{task.name}.toml")
    others = [sample for sample in samples if sample.patient not in taken]
    train, val = hold_out(others, share=rule.val_share, salt=salt, strata=task.labels)
    return Split(name, train, val, tuple(test))
