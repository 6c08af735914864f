"""What the splits of the cards hold and share, part by part, task by task, data set by data set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.pretraining import sight
from g2d_bench.data.audit_facts import RELEASE, Audit, DatasetAudit, PartFacts, SharedFacts, SplitAudit
from g2d_bench.data.crossings import crossings
from g2d_bench.data.divide import OFFICIAL, apply_rule, divide, leak_pixels, positive_ids, usable
from g2d_bench.data.leaks import find_leaks
from g2d_bench.data.legacy_splits import legacy_split
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import Split, read_id_list
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.progress import track
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.registry import dataset_names, find_dataset

if TYPE_CHECKING:
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cards.task import SplitRule, TaskCard
    from g2d_bench.data.source import Source


def audit(
    source: Source,
    catalogue: Catalogue,
    names: Sequence[str],
    tables: Sequence[Path] = (),
    told: Callable[[Audit], None] | None = None,
) -> Audit:
    """Audit data sets or tasks. Of several, one that is not there or cannot be read costs nothing but itself.

    Args:
        source: where data come from.
        catalogue: the cards of tasks.
        names: data sets or tasks; empty means all data sets that are there.
        tables: data roots of which only the tables are read; without any, the configured data in full.
        told: takes the report of each data set as soon as it is done.

    Raises:
        InputError: an unknown name, no data set is there, or the only one cannot be read.
    """
    wanted = _wanted(source, catalogue, names, tables)
    result = Audit()
    made: list[tuple[SplitAudit, Split]] = []
    keys: dict[str, frozenset[str]] = {}
    # Lines of a report would fall into the bar, and say as well how far it is.
    for name, tasks in wanted.items() if told else track(wanted.items(), "auditing", unit="set"):
        alone = Audit()
        try:
            dataset, manifest = open_data(source, name, tables)
            about = replace(_dataset(dataset, manifest), seen_by=_seen_by(catalogue, dataset))
            found = list(_splits(dataset, manifest, tasks))
        except InputError as error:
            if len(wanted) == 1:
                raise
            alone.unread[name] = str(error)
        else:
            alone.datasets, alone.splits = [about], [one for one, _ in found]
            made += [(one, split) for one, split in found if split is not None]
            keys[name] = frozenset(sample.id for sample in manifest.samples)
        result.add(alone)
        if told:
            told(alone)
    result.shared_images, result.crossings, result.notes = crossings(made, keys)
    return result


def open_data(source: Source, name: str, tables: Sequence[Path]) -> tuple[Dataset, Manifest]:
    """Open a data set: its tables alone from the given roots, or the configured one in full.

    Raises:
        InputError: it is not there, or a file is malformed.
    """
    if tables:
        dataset = find_dataset(name, tables)
        return dataset, Manifest.of_tables(dataset)
    return source.opened(name)


def _wanted(
    source: Source, catalogue: Catalogue, names: Sequence[str], tables: Sequence[Path]
) -> dict[str, list[TaskCard]]:
    """Return the tasks to audit by data set."""
    own = [task for task in catalogue.tasks if task.test is None]
    if not names:
        there = [name for name in dataset_names() if _there(source, name, tables)]
        if not there:
            where = tables[0] if tables else source.root or source.phantom
            hint = "a data root has one folder per data set" if tables or source.root else "name one"
            raise InputError(f"no data set is here; {hint} ({', '.join(dataset_names())})", file=where)
        return {name: [task for task in own if task.dataset == name] for name in there}
    wanted: dict[str, list[TaskCard]] = {}
    for name in names:
        if name in dataset_names():
            chosen = [task for task in own if task.dataset == name]
            wanted.setdefault(name, [])
        elif name in catalogue.tasks.names:
            card = catalogue.tasks[name]
            if card.test is not None:
                both = f"{card.dataset} and {card.test.dataset}"
                raise InputError(
                    f"{name} has two data sets, which `run` holds against each other; audit {both}"
                )
            chosen = [card]
        else:
            known = [*dataset_names(), *catalogue.tasks.names]
            raise InputError(f"unknown data set or task {name!r}; {did_you_mean(name, known)}")
        for task in chosen:
            if task not in wanted.setdefault(task.dataset, []):
                wanted[task.dataset].append(task)
    return wanted


def _there(source: Source, name: str, tables: Sequence[Path]) -> bool:
    if not tables:
        return source.state(name) != "no"
    try:
        find_dataset(name, tables)
    except InputError:
        return False
    return True


def _dataset(dataset: Dataset, manifest: Manifest) -> DatasetAudit:
    return DatasetAudit(
        name=dataset.name,
        kind=manifest.kind,
        root=str(dataset.root),
        images_read=bool(manifest.sha256),
        images=len(manifest.samples),
        patients=len({sample.patient for sample in manifest.samples}),
        boxes=sum(len(sample.boxes) for sample in manifest.samples),
        boxed=sum(bool(sample.boxes) for sample in manifest.samples),
    )


def _seen_by(catalogue: Catalogue, dataset: Dataset) -> dict[str, str]:
    """Return encoder to what its pre-training saw of a data set, by its card."""
    saw = {card.name: sight(card.seen, dataset.name, dataset.kind) for card in catalogue.encoders}
    return {name: what for name, what in saw.items() if what}


def _splits(
    dataset: Dataset, manifest: Manifest, tasks: Sequence[TaskCard]
) -> Iterator[tuple[SplitAudit, Split | None]]:
    """Audit every split of every task; tasks with the same split of the same labels are taken together."""
    done: dict[tuple[object, ...], SplitAudit] = {}
    for task in tasks:
        for name, rule in task.split.items():
            found = SplitAudit(
                dataset.name, [task.name], name, describe(rule, dataset.kind), bool(rule.function)
            )
            try:
                samples = usable(manifest.samples, task)
                split = divide(task, name, samples, dataset)
            except InputError as error:
                found.error = str(error)
                yield found, None
                continue
            found.hash = split.hash
            before = done.setdefault((name, found.rule, split.hash, task.labels), found)
            if before is not found:
                before.tasks.append(task.name)
            else:
                known = {sample.id: sample for sample in samples}
                _inspect(found, split, known, task.labels)
                _leaks(found, split, dataset, manifest)
                if rule.function:
                    _rows(found, legacy_split(rule.function, dataset).rows, known)
                complete = rule.ids is not None and len(samples) == sum(
                    len(ids) for ids in read_id_list(rule.ids).parts.values()
                )
                # Of a release that has shrunk, the rule would compute something else.
                if complete and dataset.kind == "real":
                    found.list_as_computed = apply_rule(task, name, samples, dataset).hash == split.hash
                yield found, split
            if "all-empty" in KINDS[task.kind].trivial:
                test = before.parts["test"]
                before.all_empty = 1 - test.positive / test.images
    # Where no task trains, pre-training does, on the release's own parts.
    trained = any(KINDS[task.kind].trained for task in tasks)
    if not trained and all(sample.split in OFFICIAL for sample in manifest.samples):
        found = SplitAudit(dataset.name, [], RELEASE, "assigned by the release")
        parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for sample in manifest.samples:
            parts[OFFICIAL[sample.split]].append(sample.id)
        split = Split(RELEASE, *(tuple(ids) for ids in parts.values()))
        found.hash = split.hash
        _inspect(found, split, {sample.id: sample for sample in manifest.samples}, dataset.labels)
        _leaks(found, split, dataset, manifest)
        yield found, split


def describe(rule: SplitRule, kind: str) -> str:
    """Say in a few words how a rule divides data of a kind, ``real`` or ``phantom``."""
    if rule.function:
        return f"published function {rule.function}"
    ratios = "/".join(f"{share:g}" for share in rule.ratios or ())
    how = f"by patient {ratios}" if ratios else "assigned by the release"
    if rule.val_share is not None:
        how += f", {rule.val_share:.0%} of train validates, by patient"
    return how + (f", id list {rule.ids.name}" if rule.ids and kind == "real" else "")


def _inspect(
    found: SplitAudit,
    split: Split,
    samples: Mapping[str, Sample],
    labels: Sequence[str],
) -> None:
    positive = positive_ids(samples.values(), labels)
    for part, ids in split.parts.items():
        found.parts[part] = PartFacts(
            images=len(ids),
            positive=sum(i in positive for i in ids),
            patients=len({samples[i].patient for i in ids}),
            boxed=sum(bool(samples[i].boxes) for i in ids),
        )
    found.unused = len(samples.keys() - set().union(*split.parts.values()))
    for one, other in combinations(split.parts, 2):
        both = set(split.parts[one]) & set(split.parts[other])
        patients = {samples[i].patient for i in split.parts[one]}
        shared = {samples[i].patient for i in split.parts[other]} & patients
        found.shared.append(
            SharedFacts(
                parts=(one, other),
                ids=len(both),
                positive_ids=len(both & positive),
                patients=len(shared),
                images=sum(samples[i].patient in shared for i in split.parts[other]),
                files=None,
                near_duplicates=None,
            )
        )


def _leaks(found: SplitAudit, split: Split, dataset: Dataset, manifest: Manifest) -> None:
    """Add what only the image files tell."""
    if not manifest.sha256:
        return
    pixels = leak_pixels(dataset, manifest)
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for leak in find_leaks(split, manifest, pixels):
        counts[leak.kind, leak.split_a, leak.split_b] += 1
    found.shared = [
        replace(
            pair,
            files=counts["file", *pair.parts],
            near_duplicates=None if pixels is None else counts["near-duplicate", *pair.parts],
        )
        for pair in found.shared
    ]


def _rows(found: SplitAudit, rows: Sequence[Sequence[str]], samples: Mapping[str, Sample]) -> None:
    """Count the positive images of a part that lack rows of their mask there."""
    for part, ids in zip(found.parts, rows, strict=False):
        there = {i: count for i, count in Counter(ids).items() if i in samples and samples[i].annotation}
        lacking = sum(count < len(samples[i].annotation) for i, count in there.items())
        found.incomplete[part] = (lacking, len(there))
