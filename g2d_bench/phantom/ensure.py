"""Write a whole generated data set, once, with all processors."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_package
from g2d_bench.phantom.generate import generate
from g2d_bench.phantom.profile import profile_of
from g2d_bench.phantom.writers import Item, writer_of
from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
from g2d_bench.progress import track
from g2d_bench.readers.base import PHANTOM_MARKER

CHUNK = 24
"""Images per task of a worker process."""
ABANDONED = 3600.0
"""Seconds without a new file after which an unfinished folder belongs to a run that was killed: a living one
writes several files per second."""


def ensure(
    dataset: str,
    *,
    root: Path,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Path:
    """Make sure that a generated data set exists.

    Args:
        dataset: name of the data set.
        root: folder below which its folder is made.
        count: number of images; the writer's default if None.
        size: side of the images in pixels; the writer's default if None.
        seed: of everything random.
        workers: number of processes; as many as this process may use if None. The bytes do not depend on it.

    Returns:
        ``root/<dataset>``. An existing one of the same generator code, seed, count and size is left alone;
        an unmarked folder is never touched.

    Raises:
        InputError: unknown data set, a count or size out of range, or a folder that is no phantom in the way.
    """
    writer = writer_of(dataset)
    count, size = count or writer.COUNT, size or writer.SIZE
    if count < 1:
        raise InputError(f"{count} images, want 1 or more", field="count")
    if not 64 <= size <= 2048:
        raise InputError(f"{size} pixels, want 64 to 2048", field="size")
    folder = root / dataset
    _sweep(root, dataset)
    marker = _marker(dataset, count, size, seed)
    if _is_there(folder, marker):
        return folder
    with _alone(root, dataset):
        # Whoever held the lock before may have made it.
        if not _is_there(folder, marker):
            _make(root, folder, marker, workers)
    return folder


def is_current(dataset: str, *, root: Path) -> bool:
    """Say whether :func:`ensure` would find the generated data set, of default count, size and seed.

    Raises:
        InputError: unknown data set, or a folder that is no phantom in the way.
    """
    writer = writer_of(dataset)
    return _is_there(root / dataset, _marker(dataset, writer.COUNT, writer.SIZE, 0))


def _marker(dataset: str, count: int, size: int, seed: int) -> dict[str, object]:
    generator = digest_package(Path(__file__).parent)
    return {"generator": generator, "dataset": dataset, "seed": seed, "count": count, "size": size}


def _is_there(folder: Path, marker: Mapping[str, object]) -> bool:
    return folder.exists() and _read_marker(folder) == marker


@contextlib.contextmanager
def _alone(root: Path, dataset: str) -> Iterator[None]:
    """Let one process at a time generate a data set; the others wait and find it."""
    lock = FileLock(str(root / f".{dataset}.lock"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"{dataset}: another process generates it, waiting", file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=root) from error
    try:
        yield
    finally:
        lock.release()


def _make(root: Path, folder: Path, marker: Mapping[str, Any], workers: int | None) -> None:
    """Write the data set that a marker describes beside its place, then move it there."""
    dataset, count, size, seed = (marker[name] for name in ("dataset", "count", "size", "seed"))
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{dataset}-", dir=root))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=root) from error
    try:
        partial.chmod(0o755)
        items = list(
            track(
                _items(dataset, partial, count, size, seed, workers),
                f"generating {dataset}",
                total=count,
                unit="img",
            )
        )
        writer_of(dataset).write_tables(partial, items, seed)
        (partial / PHANTOM_MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        _move(partial, folder, marker)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(root: Path, dataset: str) -> None:
    """Remove unfinished folders of a data set that a killed run left behind.

    By age and not by process: the folder may be shared with machines whose processes cannot be seen here.
    """
    for left in root.glob(f".{dataset}-*"):
        with contextlib.suppress(OSError):
            if left.is_dir() and time.time() - _last_change(left) > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """Return when a folder or anything in it last changed; a new file changes the folder that holds it."""
    return max(Path(place).stat().st_mtime for place, _, _ in os.walk(folder))


def _read_marker(folder: Path) -> dict[str, object]:
    path = folder / PHANTOM_MARKER
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError("exists and is no generated data set; it is left alone", file=folder) from None
    if not isinstance(marker, dict):
        raise InputError("is not a marker of generated data", file=path)
    return marker


def _move(partial: Path, folder: Path, marker: Mapping[str, object]) -> None:
    """Put the finished folder in place.

    Another process may have been faster where a shared disk keeps no locks.
    """
    if folder.exists():
        if _read_marker(folder) == marker:
            return
        aside = partial.with_name(partial.name + "-old")
        folder.replace(aside)
        partial.replace(folder)
        shutil.rmtree(aside, ignore_errors=True)
        return
    try:
        partial.replace(folder)
    except OSError:
        if _read_marker(folder) != marker:
            raise


def _chunk(dataset: str, folder: Path, start: int, stop: int, size: int, seed: int) -> list[Item]:
    """Write the images ``start`` to ``stop``; runs in a worker."""
    writer, profile = writer_of(dataset), profile_of(dataset)
    return [
        writer.write_item(folder, generate(dataset, index, seed=seed, size=size, profile=profile))
        for index in range(start, stop)
    ]


def _items(
    dataset: str, folder: Path, count: int, size: int, seed: int, workers: int | None
) -> Iterator[Item]:
    processes = workers or cores()
    starts = range(0, count, CHUNK)
    if processes == 1 or len(starts) == 1:
        for index in range(count):
            yield from _chunk(dataset, folder, index, index + 1, size, seed)
        return
    with worker_pool(min(processes, len(starts))) as pool:
        with deaf_to_interrupts():
            tasks = [
                pool.submit(_chunk, dataset, folder, start, min(start + CHUNK, count), size, seed)
                for start in starts
            ]
        for task in tasks:
            yield from task.result()
