"""Folders that appear whole: written beside their place, and gone with whoever ends before that."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.files import DRAFT, CannotWrite, cannot_write, machine_error
from g2d_bench.locks import same_file, try_lock


def prefix_of(out: Path) -> str:
    """Return how the name of a draft beside a folder begins; a name has limits."""
    return f".{out.name[:60]}-"


@contextmanager
def draft_folder(out: Path, holds: Collection[str]) -> Iterator[Path]:
    """Make a folder beside the place that it is to take; drafts that killed processes left there go first.

    Args:
        out: the place; the folder above it is made.
        holds: names that may stand in such a draft, by which a dead one is told from a folder of the user's.

    Yields:
        The draft, of which only this user can read; what has not been moved at the end of the block goes.

    Raises:
        OSError: no room, no permission.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep_folders(out.parent, prefix_of(out), holds)
    with draft_within(out.parent, prefix_of(out)) as draft:
        yield draft


@contextmanager
def draft_within(where: Path, prefix: str) -> Iterator[Path]:
    """Make a folder that is locked as long as its process lives, and goes at the end of the block.

    Args:
        where: the folder in which to make it.
        prefix: how its name begins.

    Raises:
        OSError: no room, no permission.
    """
    draft, handle = _create(where, prefix)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def sweep_folders(where: Path, prefix: str, holds: Collection[str]) -> None:
    """Remove the drafts of processes that were killed; one that is still at work holds its lock."""
    for path in where.glob(".*") if where.is_dir() else ():
        with suppress(OSError):
            if is_draft(path, prefix, holds) and (handle := _open(path)) is not None:
                try:
                    if try_lock(handle) and same_file(handle, path):
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(handle)


def is_draft(path: Path, prefix: str, holds: Collection[str]) -> bool:
    """Say whether a path is a draft: named as one, and holding nothing that no draft holds."""
    named = re.fullmatch(re.escape(prefix) + "[a-z0-9_]{8}", path.name)
    if not named or path.is_symlink() or not path.is_dir():
        return False
    return all(inside.name in holds or DRAFT.fullmatch(inside.name) for inside in path.iterdir())


def not_placed(error: OSError | CannotWrite, out: Path) -> InputError:
    """Make one line of what keeps a folder from being written; of its draft, which goes, nobody should hear.

    Args:
        error: what was raised while the draft was written.
        out: the place that it was to take.
    """
    named = error.path if isinstance(error, CannotWrite) else error.filename
    parts = Path(os.fsdecode(named)).parts if isinstance(named, str | bytes | os.PathLike) else ()
    if parts and not any(part.startswith(prefix_of(out)) for part in parts):
        return error if isinstance(error, CannotWrite) else machine_error(error)
    return CannotWrite(error.reason, out) if isinstance(error, CannotWrite) else cannot_write(error, out)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, as Linux can; False where that cannot be done."""
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), flag) == 0)


def _create(where: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        draft = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
        try:
            handle = _open(draft)
        except FileNotFoundError:
            continue  # swept between the two calls
        if handle is None or try_lock(handle) is None or same_file(handle, draft):
            return draft, handle
        os.close(handle)


def _open(folder: Path) -> int | None:
    """Open a folder for its lock; None where the system opens none."""
    flag = getattr(os, "O_DIRECTORY", None)
    return None if flag is None else os.open(folder, os.O_RDONLY | flag)
