"""How the images of a task are divided into training, validation and test."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from g2d_bench.cards.kind import KINDS
from g2d_bench.data.cache import PixelCache
from g2d_bench.data.legacy_splits import (
    legacy_split,
)
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.per_label import per_label
from g2d_bench.data.splits import PARTS, Split, hold_out, listed_split, make_split
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.progress import tell_once
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.reports import report_text

if TYPE_CHECKING:
    from g2d_bench.cards.task import SplitRule, TaskCard


def positive_ids(samples: Iterable[Sample], labels: Sequence[str]) -> set[str]:
    """Return the ids of the images that show at least one of some labels."""
    return {sample.id for sample in samples if any(sample.labels.get(name) == 1 for name in labels)}


LEAK_SIZE = 128
"""Pixels per side at which images are compared for near-duplicates."""


def leak_pixels(dataset: Dataset, manifest: Manifest) -> PixelCache | None:
    """Return the pixels among which near-duplicates mean a leak; None for generated data.

    Generated patients share one anatomy: there, likeness says nothing.
    """
    told = manifest.kind == "real" and dataset.likeness
    return PixelCache.open(dataset, manifest, LEAK_SIZE) if told else None


def usable(samples: Sequence[Sample], task: TaskCard) -> list[Sample]:
    """Keep the samples that a task is about, their labels read as its card says.

    Returns:
        The samples for which the task's ``where`` holds and of which enough of its labels are :func:`told`,
        after uncertain and unmentioned ones got the values that the card gives them. Where a task is about
        reports, those whose report says something.

    Raises:
        InputError: none is left.
    """
    wanted = {key: (value,) if isinstance(value, str) else value for key, value in task.where.items()}
    chosen = [s for s in samples if all(s.meta.get(key) in values for key, values in wanted.items())]
    kept = told([_resolved(sample, task) for sample in chosen], task)
    if KINDS[task.kind].reports(task):
        kept = _with_report(kept)
    if not chosen:
        _refuse_where(samples, wanted, task)
    if not kept:
        where = "".join(f" with {key} {' or '.join(map(repr, v))}" for key, v in wanted.items())
        report = " and has a report" if KINDS[task.kind].reports(task) else ""
        raise InputError(f"no image{where} carries the labels {', '.join(task.labels)}{report}")
    return kept


def told(samples: Sequence[Sample], task: TaskCard) -> list[Sample]:
    """Keep the samples that tell enough of a task's labels: one, or all where what is not drawn is absent.

    What is left out although it tells some of them is counted once on stderr.
    """
    known = [[not math.isnan(s.labels.get(label, math.nan)) for label in task.labels] for s in samples]
    enough = all if KINDS[task.kind].complete else any
    kept = [sample for sample, labels in zip(samples, known, strict=True) if enough(labels)]
    if partly := sum(map(any, known)) - len(kept):
        tell_once(
            f"{task.name}: {partly:,} of {len(samples):,} images are left out, which tell some of "
            f"{', '.join(task.labels)} and not all: what is not drawn on them may be there"
        )
    return kept


def check_labels(task: TaskCard, known: Collection[str]) -> None:
    """See that a task asks for labels that its data set has.

    Args:
        task: the card.
        known: labels of the data set; where it names none, any will do.

    Raises:
        InputError: one is unknown; the nearest one is named.
    """
    for label in task.labels if known else ():
        if label not in known:
            hint = did_you_mean(label, list(known))
            raise InputError(
                f"unknown label {label!r} of {task.dataset}; {hint}", file=task.name, field="labels"
            )


def _refuse_where(samples: Sequence[Sample], wanted: Mapping[str, Sequence[str]], task: TaskCard) -> None:
    """Say which word of ``where`` no film has.

    Raises:
        InputError: one is unknown; the nearest one is named.
    """
    for key, values in wanted.items():
        there = {sample.meta[key] for sample in samples if key in sample.meta}
        if not there:
            keys = sorted({key for sample in samples for key in sample.meta})
            hint = did_you_mean(key, keys)
            raise InputError(
                f"no film of {task.dataset} tells {key!r}; {hint}", file=task.name, field="where"
            )
        if not there & set(values):
            hint = did_you_mean(values[0], sorted(there))
            text = f"no film of {task.dataset} has {key} {' or '.join(map(repr, values))}; {hint}"
            raise InputError(text, file=task.name, field="where")


def _with_report(samples: Iterable[Sample]) -> list[Sample]:
    """Keep the images whose report says something."""
    says: dict[str, bool] = {"": False}
    kept = []
    for sample in samples:
        if sample.report not in says:
            says[sample.report] = bool(report_text(sample.report))
        if says[sample.report]:
            kept.append(sample)
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
        InputError: the card has no such rule, a part would be empty, some images are not in the id list, or
            all images carry one patient id.
    """
    if name not in task.split:
        raise InputError(
            f"the task has no split {name!r} (it has {', '.join(task.split)})", file=f"{task.name}.toml"
        )
    if len(samples) > 1 and len(patients := {sample.patient for sample in samples}) == 1:
        raise InputError(
            f"all {len(samples):,} images carry one patient id, {min(patients)!r}, as files do that were "
            "anonymised under one name: neither a split nor an interval by patient can be made of them",
            file=dataset.root,
            field=dataset.patient_field,
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
    if rule.per_label is not None:
        return per_label(task, rule, name, salt, samples)
    if rule.official:
        return _official(task, rule, salt, samples, dataset)
    legacy = legacy_split(rule.function, dataset)
    known = {sample.id for sample in samples}
    parts = [tuple(i for i in part if i in known) for part in (legacy.train, legacy.valid, legacy.test)]
    for part, ids in zip(PARTS, parts, strict=True):
        if not ids:
            raise InputError(
                f"the {part} part of split {name!r} is empty: by its tables{_named(dataset)}, the release "
                "here has none of the images from which the published split draws it",
                file=dataset.root if dataset else None,
            )
    return Split(name, *parts)


TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".gz", ".xlsx")
"""Endings of tables."""


def _named(dataset: Dataset) -> str:
    """Name the tables of a release, in which a part of its split is missing."""
    if not dataset or not dataset.root.is_dir():
        return ""
    names = sorted(path.name for path in dataset.root.iterdir() if path.suffix.lower() in TABLES)
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f" ({', '.join(names[:6])}{more})" if names else ""


OFFICIAL = {"train": "train", "valid": "val", "val": "val", "validate": "val", "test": "test"}
"""Words of the releases for the parts of their split."""


def _official(task: TaskCard, rule: SplitRule, salt: str, samples: list[Sample], dataset: Dataset) -> Split:
    """Take the split that the release assigns, and draw from train what it lacks for validation.

    Editions of one data set differ in that: where there is a validation part, it validates, and the card's
    share of train is left alone.
    """
    parts: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for sample in samples:
        if sample.split not in OFFICIAL:
            message = f"the release assigns image {sample.id!r} to no part; are its lists there?"
            raise InputError(message, file=f"{task.name}.toml", field="split.official")
        parts[OFFICIAL[sample.split]].append(sample)
    ids = {part: tuple(sample.id for sample in held) for part, held in parts.items()}
    if rule.val_share is not None and ids["val"]:
        count = len(ids["val"])
        tell_once(
            f"{task.dataset}: the release has a validation part of its own ({count:,} images), which is used "
            f"instead of {rule.val_share:.0%} of train"
        )
    elif rule.val_share is not None:
        ids["train"], ids["val"] = hold_out(
            parts["train"], share=rule.val_share, salt=salt, strata=task.labels
        )
    for part, held_ids in ids.items():
        if not held_ids:
            there = ", ".join(f"{name} {len(held):,}" for name, held in parts.items())
            raise InputError(
                f"the {part} part of split 'official' is empty: by its tables{_named(dataset)}, the release "
                f"here has {there}. " + (dataset.access if dataset else ""),
                file=dataset.root if dataset else None,
            )
    return Split("official", ids["train"], ids["val"], ids["test"])
