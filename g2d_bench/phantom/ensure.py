"""Write a whole generated data set, once, with all processors."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.files import cannot_write, read_regular
from g2d_bench.hashing import digest_json, digest_package
from g2d_bench.kept import SETTLED
from g2d_bench.phantom.generate import generate
from g2d_bench.phantom.profile import SHORTCUTS, profile_of
from g2d_bench.phantom.writers import Item, writer_of
from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
from g2d_bench.progress import tell, track
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
    shortcut: str = "",
) -> Path:
    """Make sure that a generated data set exists.

    Args:
        dataset: name of the data set.
        root: folder below which its folder is made.
        count: number of images; the writer's default if None.
        size: side of the images in pixels; the writer's default if None.
        seed: of everything random.
        workers: number of processes; as many as this process may use if None. The bytes do not depend on it.
        shortcut: what gives the data set's target away, see :data:`g2d_bench.phantom.profile.SHORTCUTS`.

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
    if shortcut not in ("", *SHORTCUTS):
        raise InputError(
            f"unknown shortcut {shortcut!r}; {did_you_mean(shortcut, SHORTCUTS)}", field="shortcut"
        )
    folder = root / dataset
    _sweep(root, dataset)
    marker = _marker(dataset, count, size, seed) | ({"shortcut": shortcut} if shortcut else {})
    if _is_there(folder, marker, say=True):
        return folder
    with _alone(root, dataset):
        # Whoever held the lock before may have made it.
        if not _is_there(folder, marker):
            _sweep(root, dataset, 0.0)  # nobody else is at it, so what is unfinished was left by the dead
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


def _is_there(folder: Path, marker: Mapping[str, object], *, say: bool = False) -> bool:
    """Say whether the generated data set that a marker describes is there, every byte of it.

    The files are read once per process, and again when one of them changed.

    Args:
        folder: of the data set.
        marker: what it must be.
        say: whether to say that it is damaged.
    """
    if not folder.exists():
        return False
    there = _read_marker(folder, say=say)
    files = there.pop("files", None)
    if there != marker or not isinstance(files, dict):
        return False
    state, newest = _state(folder, files)
    if _verified.get(folder) == state:
        return True
    if _checks(folder, files) != files:
        if say:
            tell(f"{folder}: generated data are damaged (their checksums do not hold); they are made again")
        return False
    if time.time() - newest > SETTLED:
        _verified[folder] = state
    return True


_verified: dict[Path, str] = {}
"""Folder to the state of its files when their bytes were those that were generated."""


def _state(folder: Path, files: Iterable[str]) -> tuple[str, float]:
    """Hash sizes and times of files, and tell the newest; the change time moves with every write."""
    digest, newest = hashlib.sha256(), 0.0
    for name in files:
        seen: tuple[object, ...] = (name,)
        with contextlib.suppress(OSError, ValueError):
            state = (folder / name).lstat()
            seen = (name, state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns)
            newest = max(newest, state.st_ctime)
        digest.update(repr(seen).encode())
    return digest.hexdigest(), newest


def _checks(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return name to CRC-32 of files below a folder, "" for what cannot be read."""

    def one(name: str) -> str:
        try:
            return f"{zlib.crc32(read_regular(folder / name)):08x}"
        except (OSError, ValueError):
            return ""

    # Reading and checking leave Python's lock.
    with ThreadPoolExecutor(min(8, cores())) as pool:
        return dict(zip(files, pool.map(one, files), strict=True))


def _names(folder: Path) -> list[str]:
    return sorted(
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
    )


@contextlib.contextmanager
def _alone(root: Path, dataset: str) -> Iterator[None]:
    """Let one process at a time generate a data set; the others wait and find it."""
    lock = FileLock(str(root / f".{dataset}.lock"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            tell(f"{dataset}: another process generates it, waiting")
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
    shortcut = marker.get("shortcut", "")
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{dataset}-", dir=root))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=root) from error
    try:
        partial.chmod(0o755)
        items = list(
            track(
                _items(dataset, partial, count, size, seed, workers, shortcut),
                f"generating {dataset}",
                total=count,
                unit="img",
            )
        )
        writer_of(dataset).write_tables(partial, items, seed)
        whole = {**marker, "files": _checks(partial, _names(partial))}
        whole["check"] = digest_json(whole)
        (partial / PHANTOM_MARKER).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        _move(partial, folder, marker)
    except OSError as error:
        raise cannot_write(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(root: Path, dataset: str, age: float = ABANDONED) -> None:
    """Remove unfinished folders of a data set that a killed run left behind.

    By age and not by process: the folder may be shared with machines whose processes cannot be seen here.

    Args:
        root: folder of generated data sets.
        dataset: name of the data set.
        age: seconds without a change after which a folder is left over.
    """
    for left in root.glob(f".{dataset}-*"):
        with contextlib.suppress(OSError):
            if left.is_dir() and (not age or time.time() - _last_change(left) > age):
                shutil.rmtree(left, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """Return when a folder or anything in it last changed; a new file changes the folder that holds it."""
    return max(Path(place).stat().st_mtime for place, _, _ in os.walk(folder))


def _read_marker(folder: Path, *, say: bool = False) -> dict[str, object]:
    """Return what a folder says of the generated data in it; nothing where the marker is damaged."""
    path = folder / PHANTOM_MARKER
    if not path.is_file():
        raise InputError("exists and is no generated data set; it is left alone", file=folder)
    with contextlib.suppress(OSError, ValueError):
        marker = json.loads(read_regular(path).decode("utf-8"))
        if isinstance(marker, dict) and marker.pop("check", "") == digest_json(marker):
            return marker
    if say:
        tell(
            f"{path}: its checksum does not hold (damaged, or of an earlier version); "
            "the generated data beside it are made again"
        )
    return {}


def _move(partial: Path, folder: Path, marker: Mapping[str, object]) -> None:
    """Put the finished folder in place.

    Another process may have been faster where a shared disk keeps no locks.
    """
    if folder.exists():
        if _is_there(folder, marker):
            return
        aside = partial.with_name(partial.name + "-old")
        folder.replace(aside)
        partial.replace(folder)
        shutil.rmtree(aside, ignore_errors=True)
        return
    try:
        partial.replace(folder)
    except OSError:
        if not _is_there(folder, marker):
            raise


def _chunk(
    dataset: str, folder: Path, start: int, stop: int, size: int, seed: int, shortcut: str
) -> list[Item]:
    """Write the images ``start`` to ``stop``; runs in a worker."""
    writer, profile = writer_of(dataset), replace(profile_of(dataset), shortcut=shortcut)
    return [
        writer.write_item(folder, generate(dataset, index, seed=seed, size=size, profile=profile))
        for index in range(start, stop)
    ]


def _items(
    dataset: str, folder: Path, count: int, size: int, seed: int, workers: int | None, shortcut: str
) -> Iterator[Item]:
    processes = workers or cores()
    starts = range(0, count, CHUNK)
    if processes == 1 or len(starts) == 1:
        for index in range(count):
            yield from _chunk(dataset, folder, index, index + 1, size, seed, shortcut)
        return
    with worker_pool(min(processes, len(starts))) as pool:
        with deaf_to_interrupts():
            tasks = [
                pool.submit(_chunk, dataset, folder, start, min(start + CHUNK, count), size, seed, shortcut)
                for start in starts
            ]
        for task in tasks:
            yield from task.result()
