"""Files on disks that fill up or are read-only: written whole or not at all, and read if they are files."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.locks import same_file, try_lock

DRAFT = re.compile(r"\..+\.(?:draft|lease)|\..+\.(?:npy|npz|json|gz)\.(?:\d+|[a-z0-9_]{8})", re.DOTALL)
"""Names of unfinished files and of claims; those of the second form are of versions that locked none."""
UNLOCKED = 3600.0
"""Seconds without change after which an unfinished file that cannot be locked, or never was, is left over."""

MACHINE = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "EIO", "ENXIO"),
        *("ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP", "ESTALE", "ENOTEMPTY", "EILSEQ"),
        *("EINVAL", "EBUSY", "ETXTBSY", "ENODEV", "EOPNOTSUPP", "ENOMEM"),
    )
    if hasattr(errno, name)
)
"""What a disk or an operating system refuses, as opposed to what a broken pipe or connection is."""

_OPEN = ("/dev/fd", "/proc/self/fd")
"""Folders of the files that a process has open."""


def machine_error(error: OSError, file: Path | str | None = None) -> InputError:
    """Make one line of what the operating system refuses.

    Args:
        error: what it raised; the file that it names goes before ``file``.
        file: what was to be written or read.
    """
    named = file if error.filename is None else error.filename
    shown = os.fsdecode(named) if isinstance(named, str | bytes | os.PathLike) else None
    return InputError(error.strerror or str(error), file=shown)


class CannotWrite(InputError):
    """A file that cannot be written.

    Args:
        reason: why.
        path: of the file.
    """

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(f"cannot be written: {reason}", file=path)
        self.reason, self.path = reason, path

    def __reduce__(self) -> tuple[type[CannotWrite], tuple[str, Path]]:
        return CannotWrite, (self.reason, self.path)


def cannot_write(error: OSError, path: Path) -> CannotWrite:
    """Make one line of what keeps a file from being written."""
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "a file is where a folder should be"
    return CannotWrite(reason, path)


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """Read a file, and nothing that is none: a pipe would wait for ever, a device never end.

    Args:
        path: the file; a link to one is one.
        limit: bytes that it may have, and about as many as are read of a larger one.

    Raises:
        OSError: it is not there, is no file, is larger (``EFBIG``) or cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, "is no regular file", os.fspath(path))
    with os.fdopen(handle, "rb", buffering=0) as stream:
        if limit is None:
            return stream.readall()
        parts, size = [], 0
        while part := stream.read(min(1 << 24, limit + 1 - size)):
            parts.append(part)
            size += len(part)
    if size > limit:
        most = f"{limit >> 20} MiB" if limit >> 20 else f"{limit >> 10} KiB"
        reason = f"is larger than the {most} that such a file may have"
        raise OSError(errno.EFBIG, reason, os.fspath(path))
    return b"".join(parts)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, making its folder, so that it is either there in full or not at all.

    Raises:
        InputError: no room, no permission, or a file where a folder should be.
    """
    with draft(path) as handle:
        write_at(handle, content, 0)


def write_out(path: Path, content: bytes) -> None:
    """Write what a user asked for to the place that was named, as a shell would: a link leads to its target,
    a pipe or a device (``/dev/stdout``) takes what is written.

    Records, caches and the like go through :func:`write_atomically`: a link among them may be a stranger's.

    Raises:
        InputError: no room, no permission, a folder, or nobody at the other end.
    """
    try:
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode
            if _is_stream(path) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return _pour(path, content)
    except OSError as error:
        raise cannot_write(error, path) from error
    write_atomically(Path(os.path.realpath(path)) if path.is_symlink() else path, content)


def _is_stream(path: Path) -> bool:
    """Say whether a path stands for an open file of this process, whose file is not to be replaced."""
    place = path.absolute()
    return place.as_posix() in ("/dev/stdout", "/dev/stderr") or place.parent.as_posix() in _OPEN


def _pour(path: Path, content: bytes) -> None:
    # A file at the end of /dev/stdout may have been opened for adding to it.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as stream:
        rest = memoryview(content)
        while len(rest):
            rest = rest[stream.write(rest) :]


def write_at(handle: int, content: bytes | memoryview, offset: int) -> None:
    """Write bytes at a place of an open file.

    Through a memory map, a full disk would end the process without a word.

    Raises:
        OSError: no room.
    """
    rest = memoryview(content).cast("B")
    while len(rest):
        count = os.pwrite(handle, rest, offset)
        rest, offset = rest[count:], offset + count


@contextmanager
def draft(path: Path, size: int = 0) -> Iterator[int]:
    """Open a file that takes its place at the end of the block; whatever ends the block early removes it.

    The draft is locked, so that those of killed processes can be told and are swept; see :func:`sweep`.

    Args:
        path: where the file will stand; its folder is made.
        size: bytes that are reserved at once, as zeros, so that a full disk is found out before long work.

    Yields:
        The open file.

    Raises:
        InputError: no room, no permission, a file where a folder should be, or a device in its place.
    """
    made: list[Path] = []
    try:
        _refuse_device(path)
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        handle, place = _create(path)
    except OSError as error:
        _remove_empty(made)
        raise cannot_write(error, path) from error
    try:
        try:
            _reserve(handle, size)
            yield handle
            # Disks on a network say only here that they are full.
            os.fsync(handle)
            place.replace(path)
        except OSError as error:
            # What was read meanwhile may be what failed.
            other = error.filename is not None and os.fspath(error.filename) != os.fspath(place)
            raise (machine_error(error) if other else cannot_write(error, path)) from error
    except BaseException:
        with suppress(OSError):
            place.unlink()
        _remove_empty(made)
        raise
    finally:
        os.close(handle)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that were made for a file that is not there, the deepest first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _refuse_device(path: Path) -> None:
    """Refuse to put a file where a device stands: it would be gone.

    Raises:
        OSError: one does, or the way there is none.
    """
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "is a device")


def _create(path: Path) -> tuple[int, Path]:
    name = os.fsencode(path.name)
    # The draft's name must not be too long where the file's is not.
    word = path.name if len(name) < 160 else hashlib.sha256(name).hexdigest()
    while True:
        place = path.with_name(f".{word}.{os.getpid()}-{uuid.uuid4().hex[:8]}.draft")
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if try_lock(handle) is None or same_file(handle, place):
            return handle, place
        os.close(handle)  # swept between the two calls


def _reserve(handle: int, size: int) -> None:
    """Take room on the disk for a file.

    Raises:
        OSError: there is none.
    """
    if not size:
        return
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
        else:
            return
    zeros = bytes(1 << 20)
    for start in range(0, size, len(zeros)):
        write_at(handle, memoryview(zeros)[: size - start], start)


_swept: set[Path] = set()


def sweep(folder: Path) -> None:
    """Remove the drafts that killed processes left in a folder; done once per folder and process."""
    if folder in _swept:
        return
    _swept.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if DRAFT.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_dead(Path(entry.path))


def _remove_dead(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
    try:
        locked = try_lock(handle)
        old = time.time() - os.fstat(handle).st_mtime > UNLOCKED
        ours = path.suffix in (".draft", ".lease")
        if same_file(handle, path) and ((locked and ours) or (locked is not False and old)):
            path.unlink()
    finally:
        os.close(handle)
