"""A downloaded release made ready: checked, hashed, decoded, and put where runs look."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from g2d_bench.data.cache import MaskCache, PixelCache
from g2d_bench.data.divide import LEAK_SIZE, divide, positive_ids, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.files import cannot_write
from g2d_bench.readers.base import Dataset
from g2d_bench.readers.folders import release_folder, walk
from g2d_bench.readers.registry import dataset_class, open_dataset
from g2d_bench.readers.tables import locate
from g2d_bench.readers.unpack import unpacked

if TYPE_CHECKING:
    from g2d_bench.cards.catalogue import Catalogue


IMAGES = (".dcm", ".png", ".jpg", ".jpeg", ".img")
"""Endings of the image files of all releases."""


def find_source(name: str, source: Path | None, data_root: Path | None) -> Dataset:
    """Open a release where the user says that it lies.

    Args:
        name: of the data set.
        source: the folder of the release, or one that holds it under its usual name; None for the data root.
        data_root: the configured one.

    Raises:
        InputError: unknown name, or nothing is there; the text says how to get it.
    """
    reader = dataset_class(name)
    if source is None:
        if data_root is None:
            raise InputError(f"give the folder of {name} with --source. {reader.access}", field="--source")
        return open_dataset(name, data_root)
    if not source.is_dir():
        raise InputError(f"no such folder. {reader.access}", file=source, field="--source")
    try:
        return open_dataset(name, source)
    except InputError:
        return reader(release_folder(source, reader.tables) if reader.descend else source)


def prepare(
    catalogue: Catalogue,
    dataset: Dataset,
    data_root: Path | None,
    sizes: Sequence[int] = (),
    *,
    partial: bool = False,
) -> Iterator[tuple[str, bool]]:
    """Make a release ready and yield one line per step, with whether it is as published.

    Args:
        catalogue: the cards of tasks.
        dataset: from :func:`find_source`.
        data_root: where a link to the release is put unless it lies there; None for no link.
        sizes: sides in pixels at which to decode, beside that at which leaks are looked for.
        partial: take a release with other counts than the cards state, and say so.

    Raises:
        InputError: a table or image is missing or cannot be read, counts are not those of a card, or another
            folder is in the link's place.
    """
    link = _link(dataset, data_root)
    yield f"{dataset.name}: {dataset.title}, in {dataset.root}", True
    yield f"  licence: {dataset.licence}", True
    yield f"  cite: {dataset.citation}", True
    yield from _checksums(dataset)
    if not any(name.lower().endswith(IMAGES) for _, names in walk(dataset.image_root) for name in names):
        raise InputError(f"no image below. {dataset.access}", file=dataset.root)
    manifest = Manifest.open(dataset)
    patients = len({sample.patient for sample in manifest.samples})
    yield (
        f"  {len(manifest.samples):,} images of {patients:,} patients ({manifest.kind}), all files read, "
        f"content {manifest.content_hash[:12]}",
        True,
    )
    yield from ((f"  {remark}", True) for remark in manifest.remarks)
    yield from _tasks(catalogue, dataset, manifest, partial)
    for size in sorted({LEAK_SIZE, *sizes}):
        pixels = PixelCache.open(dataset, manifest, size).pixels
        yield f"  decoded at {size} px: {size_text(pixels.nbytes)} in the cache", True
    for label, size in _masks(catalogue, dataset.name):
        masks = MaskCache.open(dataset, manifest, label, size)
        yield f"  masks of {label} at {size} px: {int(masks.known.sum()):,} images", True
    if link is not None:
        try:
            link.symlink_to(dataset.root.resolve(), target_is_directory=True)
        except OSError as error:
            raise cannot_write(error, link) from error
        yield f"  linked as {link}", True


def _link(dataset: Dataset, data_root: Path | None) -> Path | None:
    """Return where to link the release, None where a run finds it anyway."""
    if data_root is None:
        return None
    try:
        there = open_dataset(dataset.name, data_root)
    except InputError:
        link = data_root / dataset.folders[0]
        if link.is_symlink():
            raise InputError("a link to nothing is in the way; remove it", file=link) from None
        if data_root.is_dir() and not os.access(data_root, os.W_OK | os.X_OK):
            raise InputError("cannot be linked here: the data root is read-only", file=link) from None
        return link
    if there.root.resolve() != dataset.root.resolve():
        raise InputError(f"the data root has another {dataset.name} already", file=there.root)
    return None


def _checksums(dataset: Dataset) -> Iterator[tuple[str, bool]]:
    if dataset.kind != "real":
        return
    for name, wanted in dataset.checksums.items():
        path = locate(dataset.root, (name,))
        if path is None:
            continue
        found = hashlib.sha256(unpacked(path)).hexdigest()
        if found == wanted:
            yield f"  {path.name}: as published", True
        else:
            yield (
                f"  {path.name}: differs from the published table (sha256 {found[:12]}, not {wanted[:12]})",
                False,
            )


def _tasks(
    catalogue: Catalogue, dataset: Dataset, manifest: Manifest, partial: bool
) -> Iterator[tuple[str, bool]]:
    """Hold the release against the counts and id lists of the cards."""
    for task in catalogue.tasks:
        if task.dataset != dataset.name or task.test is not None:
            continue
        try:
            samples = usable(manifest.samples, task)
            split = divide(task, "clean", samples, dataset)
        except InputError as error:
            yield f"  {task.name}: cannot run here: {error}", False
            continue
        parts = ", ".join(f"{part} {len(ids):,}" for part, ids in split.parts.items())
        yield f"  {task.name}: {parts}", True
        for what, wanted in task.counts.items() if manifest.kind == "real" else ():
            found = len(samples) if what == "images" else len(positive_ids(samples, task.labels))
            if found == wanted:
                continue
            if not partial:
                raise InputError(
                    f"{found:,}, the public release has {wanted:,} (card {task.name}); nothing was linked, "
                    "--partial takes an incomplete release",
                    file=dataset.root,
                    field=f"counts.{what}",
                )
            yield f"  {task.name}: {what} {found:,} of {wanted:,} in the public release", False


def _masks(catalogue: Catalogue, name: str) -> list[tuple[str, int]]:
    """Return label and side of the masks that the tasks of a data set compare."""
    tasks = [task for task in catalogue.tasks if task.dataset == name]
    return sorted({(task.labels[0], task.eval_size) for task in tasks if task.masked})


def size_text(count: int) -> str:
    """Write a number of bytes as people do."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
