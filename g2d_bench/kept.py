"""Files that can be made again, kept with checksums and believed only as far as these hold.

A checksum covers the content and the name under which it is kept, so that another file's content is told,
too. What does not hold is made again, and one line says so. The checksums (CRC-32 for tables, BLAKE2 for
small files) find damage, not malice: who can write into the folder can write matching checksums.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.files import read_regular, write_at, write_atomically
from g2d_bench.processes import cores
from g2d_bench.terminal import present

MAGIC = b"g2d-kept"
SEAL = 40
"""Bytes that a seal takes: the magic word and a digest of 32 bytes."""
BLOCK = 1 << 20
"""Bytes of a table that share a checksum."""


def say_damaged(path: Path, what: str = "") -> None:
    """Say that a kept file does not hold."""
    print(
        f"{path}: {what}its checksum does not hold (damaged, or of an earlier version); it is made again",
        file=present(sys.stderr),
        flush=True,
    )


def sealed(content: bytes, name: str) -> bytes:
    """Return content with a seal behind it."""
    return content + _seal(content, name)


def unsealed(data: bytes, name: str) -> bytes | None:
    """Return what was sealed under a name, None if the seal is absent or broken."""
    content = data[:-SEAL]
    return content if len(data) >= SEAL and data[-SEAL:] == _seal(content, name) else None


def _seal(content: bytes, name: str) -> bytes:
    digest = hashlib.blake2b(content, digest_size=32, key=hashlib.sha256(os.fsencode(name)).digest())
    return MAGIC + digest.digest()


def read_kept(path: Path, *, say: bool = True) -> bytes | None:
    """Return what :func:`write_kept` wrote; None where nothing is, or it is damaged.

    Args:
        path: of the file.
        say: whether to say that it is damaged.
    """
    try:
        content = unsealed(read_regular(path), path.name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        content = None
    if content is None and say:
        say_damaged(path)
    return content


def write_kept(path: Path, content: bytes) -> None:
    """Keep content in a file of its own, whole or not at all.

    Raises:
        InputError: no room, no permission, or a file where a folder should be.
    """
    write_atomically(path, sealed(content, path.name))


# Tables: an .npy file, its checksums per block behind the array, and their seal. numpy reads it as it is.


def table_size(shape: tuple[int, ...]) -> int:
    """Return the bytes that a kept table of uint8 takes on disk."""
    body = len(_header(shape)) + int(np.prod(shape))
    return body + 4 * _blocks(body) + SEAL


def begin_table(handle: int, shape: tuple[int, ...]) -> int:
    """Write the head of a table of uint8 and return where its rows start.

    Raises:
        OSError: no room.
    """
    write_at(handle, _header(shape), 0)
    return len(_header(shape))


def finish_table(handle: int, path: Path, shape: tuple[int, ...]) -> None:
    """Write the checksums of a table whose rows are written; ``path`` is where it will stand.

    Raises:
        OSError: no room.
    """
    body = len(_header(shape)) + int(np.prod(shape))
    checks = _checks(_mapped(handle, body)).astype("<u4").tobytes()
    write_at(handle, sealed(checks, path.name), body)


def open_table(path: Path, shape: tuple[int, ...], *, say: bool = True) -> NDArray[np.uint8] | None:
    """Map a kept table, read-only; None where nothing is, or (said in one line) it is damaged.

    All blocks are held against their checksums the first time that a process opens the file, and again when
    it changed.

    Args:
        path: of the table.
        shape: that it must have.
        say: whether to say that it is damaged.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if say:
            say_damaged(path)
        return None
    try:
        table = _verified(handle, path, shape)
    finally:
        os.close(handle)
    if table is None and say:
        say_damaged(path)
    return table


def _verified(handle: int, path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    state = os.fstat(handle)
    if state.st_size != table_size(shape):  # a pipe or device has no such size, either
        return None
    header = _header(shape)
    whole = _mapped(handle, state.st_size)
    body = len(header) + int(np.prod(shape))
    # The change time moves with every write, even where somebody sets the modification time back.
    known = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    if _known.get(str(path)) != (known, shape):
        checks = unsealed(whole[body:].tobytes(), path.name)
        if checks is None or whole[: len(header)].tobytes() != header:
            return None
        if not np.array_equal(np.frombuffer(checks, "<u4"), _checks(whole[:body])):
            return None
        if settled(state):
            _known[str(path)] = (known, shape)
    return np.asarray(whole[len(header) : body].reshape(shape))


SETTLED = 2.0
"""Seconds after which a later change of a file surely has another time: clocks of disks tick coarsely."""


def settled(*states: os.stat_result) -> bool:
    """Say whether files are old enough for their times to tell them from what they may become."""
    return all(abs(time.time() - state.st_ctime) > SETTLED for state in states)


Known = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]

_known: Known = {}
"""Path to state and shape of the tables whose checksums held in this process."""


def known() -> Known:
    """Return which tables were verified, for :func:`trust` in a worker process."""
    return dict(_known)


def trust(tables: Known) -> None:
    """Take over what the process that started this one has verified, as long as the files do not change."""
    _known.update(tables)


def npy_header(shape: tuple[int, ...], kind: str) -> bytes:
    """Return what stands before an array in an .npy file.

    Args:
        shape: of the array.
        kind: of its numbers, as numpy writes it: ``|u1``, ``<f4``.
    """
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
        stream, {"descr": kind, "fortran_order": False, "shape": tuple(map(int, shape))}
    )
    return stream.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
    return npy_header(shape, "|u1")


def _mapped(handle: int, size: int) -> NDArray[np.uint8]:
    with os.fdopen(os.dup(handle), "rb") as stream:
        return np.asarray(np.memmap(stream, np.uint8, "r", shape=(size,)))


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _checks(content: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each block; they are computed beside each other, outside of Python's lock."""
    starts = range(0, len(content), BLOCK)
    with ThreadPoolExecutor(min(cores(), 16)) as pool:
        found = pool.map(lambda start: zlib.crc32(content[start : start + BLOCK].data), starts)
        return np.fromiter(found, np.uint32, len(starts))
