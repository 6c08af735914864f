"""Somebody's own films made ready: what their table says, and a card for each kind of task that it allows."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.divide import divide, usable
from g2d_bench.data.import_place import HOLDS, PROMPTS, ROOT, TASKS, require_import, take_place
from g2d_bench.data.manifest import FILE_ANNOTATION, Manifest
from g2d_bench.data.own_tasks import OwnTask, own_tasks, prompts_text
from g2d_bench.data.parallel import over_files
from g2d_bench.draft_folders import draft_folder, not_placed
from g2d_bench.errors import InputError
from g2d_bench.plain import in_toml
from g2d_bench.readers.base import Sample
from g2d_bench.readers.folder import DESCRIPTION, Folder
from g2d_bench.readers.folder_table import Meaning, understand
from g2d_bench.readers.tables import read_table

FEW = 3
"""Patients with a label, and without it, that a task needs at least: one for each part of a split."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Imported:
    """What an import understood and wrote.

    Attributes:
        lines: what the table says, and what was left out and why.
        tasks: names of the written cards.
        out: the folder with ``folder/`` (a data set) and ``tasks/``.
    """

    lines: tuple[str, ...]
    tasks: tuple[str, ...]
    out: Path


@dataclass
class _Told:
    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)


def import_films(
    films: Path,
    table: Path,
    out: Path,
    *,
    name: str,
    columns: Mapping[str, str],
    labels: Sequence[str] = (),
    region: str = "",
    rle: str = "absolute",
) -> Imported:
    """Read a folder of films with its table, and describe both so that runs find them.

    Nothing is copied: the description names the folder and the table. It is written whole or not at all.

    Args:
        films: the folder.
        table: the CSV file.
        out: where to write; in a folder that an earlier import wrote, what nobody edited is written anew.
        name: what task names begin with.
        columns: role to column, see :data:`~g2d_bench.readers.folder_table.ROLES`.
        labels: columns that are labels; empty for all that look like it.
        region: label of masks and boxes that name none.
        rle: how run lengths count.

    Raises:
        InputError: something in table or films is wrong, the columns allow no task, or an edited file of an
            earlier import is in the way.
    """
    if not films.is_dir():
        raise InputError("no such folder", file=films)
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r}: want small letters, digits and single hyphens", field="--name")
    require_import(out)
    meaning = understand(read_table(table, ()), given=columns, labels=labels, region=region, rle=rle)
    told = _Told()
    try:
        with draft_folder(out, HOLDS) as draft:
            tasks = _write(draft, out, films, table, meaning, name, told)
            for kept in take_place(draft, out):
                told(f"kept: {kept}, which is edited")
    except OSError as error:
        raise not_placed(error, out) from error
    return Imported(tuple(told.lines), tasks, out)


def _write(
    draft: Path, out: Path, films: Path, table: Path, meaning: Meaning, name: str, told: _Told
) -> tuple[str, ...]:
    root = draft / ROOT
    root.mkdir()
    (root / DESCRIPTION).write_text(description(films, table, meaning, out / ROOT), encoding="utf-8")
    # The draft lies beside its later place, so that what is relative holds for both.
    dataset = Folder(root)
    manifest = Manifest.open(dataset)
    samples = manifest.samples
    _check_masks(dataset, manifest)
    for line in _said(samples, meaning, films):
        told(line)
    for remark in manifest.remarks:
        told(f"left out: {remark}")
    for column, why in meaning.others:
        told(f"left out: column {column} ({why})")
    shown, reasons = _enough(samples)
    for reason in reasons:
        told(f"left out: {reason}")
    folder = draft / TASKS
    (folder / PROMPTS).mkdir(parents=True)
    if shown:
        (folder / PROMPTS / f"{name}.toml").write_text(prompts_text(name, shown), encoding="utf-8")
    made = own_tasks(name, samples, meaning, shown, dataset.box_labels if meaning.has_boxes else ())
    taken = set(Catalogue.open().tasks.names)
    for task in made:
        if task.name in taken:
            raise InputError(f"a task {task.name!r} is shipped; choose another name", field="--name")
        (folder / f"{task.name}.toml").write_text(task.text, encoding="utf-8")
    kept = tuple(_check(draft, task, samples, dataset, told) for task in made)
    names = tuple(one for one in kept if one)
    if not names:
        raise InputError(
            "the columns allow no task: there are no labels, boxes, masks or reports", file=table
        )
    return names


@dataclass(frozen=True)
class _Masks:
    """Decodes the masks of one film."""

    dataset: Folder

    def __call__(self, film: tuple[Sample, tuple[int, int]]) -> None:
        sample, shape = film
        _, table, meaning = self.dataset.described
        for label, text in zip(meaning.drawn, sample.annotation, strict=True):
            if text and not self.dataset.read_mask(sample, shape, label).any() and sample.labels[label] == 1:
                raise InputError(
                    f"{label!r} is 1, but {text.removeprefix(FILE_ANNOTATION)} is black all over: leave the "
                    "cell empty where there is no mask",
                    file=f"{table}:{sample.meta['row']}",
                    field=meaning.masks[label],
                )


def _check_masks(dataset: Folder, manifest: Manifest) -> None:
    """Decode all masks, so that what is wrong is said now and not by a run.

    Raises:
        InputError: a mask cannot be read or does not fit its film, or is empty though its label is 1.
    """
    films = [
        (sample, (rows, columns))
        for sample, (rows, columns) in zip(manifest.samples, manifest.sizes.tolist(), strict=True)
        if any(sample.annotation)
    ]
    if films:
        list(over_files(_Masks(dataset), films, "checking masks"))


def _check(draft: Path, task: OwnTask, samples: Sequence[Sample], dataset: Folder, told: _Told) -> str:
    """Divide the films by a card; a card that cannot be run is removed, and why is said."""
    path = draft / TASKS / f"{task.name}.toml"
    card = Catalogue.open((draft / TASKS,)).tasks[task.name]
    try:
        split = divide(card, "clean", usable(samples, card), dataset)
        for part, ids in split.parts.items():
            if task.needs and not set(ids) & task.needs:
                raise InputError(f"no {part} film has what it asks for")
    except InputError as error:
        path.unlink()
        told(f"left out: task {task.name} ({error})")
        return ""
    parts = ", ".join(f"{part} {len(ids):,}" for part, ids in split.parts.items())
    told(f"task {task.name} ({card.kind}): {parts}")
    return task.name


def description(films: Path, table: Path, meaning: Meaning, root: Path) -> str:
    """Write ``folder.toml``; paths are relative to ``root`` where both lie in one tree of the user's."""

    def place(path: Path) -> str:
        found = os.path.relpath(path.resolve(), root.resolve())
        try:
            found.encode()
        except UnicodeEncodeError:
            raise InputError("its path is no UTF-8, so no card can name it; rename it", file=path) from None
        return found

    lines = [
        "# Written by `g2d-bench data import`; run it again when columns change.",
        f"films = {in_toml(place(films))}",
        f"table = {in_toml(place(table))}",
        f"flags = {in_toml(meaning.flags)}",
        f"listed = {in_toml(meaning.listed)}",
        f"region = {in_toml(meaning.region)}",
        f"rle = {in_toml(meaning.rle)}",
    ]
    for key, words in (("columns", meaning.roles), ("masks", meaning.masks), ("rles", meaning.rles)):
        lines += ["", f"[{key}]"]
        lines += [f"{in_toml(one)} = {in_toml(other)}" for one, other in words.items()]
    return "\n".join(lines) + "\n"


def _said(samples: Sequence[Sample], meaning: Meaning, films: Path) -> Iterator[str]:
    patients = len({sample.patient for sample in samples})
    yield f"{len(samples):,} films of {patients:,} patients below {films}"
    words = [f"{role}: {column}" for role, column in meaning.roles.items() if role != "labels"]
    yield f"columns read: {', '.join(words)}"
    for key in ("patient", "sex", "age", "view"):
        if key not in meaning.roles and any(
            (sample.patient if key == "patient" else sample.meta[key]) for sample in samples
        ):
            yield f"{key}: from the DICOM headers"
    for label in dict.fromkeys(label for sample in samples for label in sample.labels):
        values = [sample.labels.get(label, math.nan) for sample in samples]
        counts = [f"{values.count(1):,} with", f"{values.count(0):,} without"]
        counts += [f"{n:,} uncertain" for n in [values.count(-1)] if n]
        counts += [f"{n:,} not mentioned" for n in [sum(map(math.isnan, values))] if n]
        regions = []
        if label in meaning.drawn:
            how = f"run lengths, {meaning.rle}" if label in meaning.rles else "files"
            masks = sum(bool(s.annotation[meaning.drawn.index(label)]) for s in samples)
            regions.append(f"{masks:,} masks ({how})")
        if boxes := sum(box.label == label for sample in samples for box in sample.boxes):
            regions.append(f"{boxes:,} boxes")
        yield f"label {label}: {', '.join([*counts, *regions])}"
    if reports := sum(bool(sample.report.strip()) for sample in samples):
        yield f"reports: {reports:,}"
    if any(sample.split for sample in samples):
        counts_of = {part: sum(s.split == part for s in samples) for part in ("train", "valid", "test")}
        yield "split: as the table says, " + ", ".join(f"{part} {n:,}" for part, n in counts_of.items())
    else:
        yield "split: drawn from patient ids: 70, 15 and 15 %; of tasks without training 20, 20 and 60 %"


def _enough(samples: Sequence[Sample]) -> tuple[tuple[str, ...], list[str]]:
    """Return the labels that enough patients show and lack, and why the others are left out."""
    kept, reasons = [], []
    for label in dict.fromkeys(label for sample in samples for label in sample.labels):
        for value, words in ((1, "show"), (0, "lack")):
            count = len({s.patient for s in samples if s.labels.get(label) == value})
            if count < FEW:
                reasons.append(f"label {label} ({count} patients {words} it, {FEW} are needed)")
                break
        else:
            kept.append(label)
    return tuple(kept), reasons
