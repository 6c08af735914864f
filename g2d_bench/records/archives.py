"""Arrays in a .npz of a stranger: what it declares is looked at before anything is unpacked."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError

PACKED = 256 << 20
"""Bytes that an archive may have."""
UNPACKED = 256 << 20
"""Bytes that all its arrays may have together: the masks of 32,000 images."""
MEMBERS = 64
"""Arrays in an archive; the largest kind of task has fifteen."""
LONGEST = 1 << 31
"""No side of an array is as long."""
SAFE = "biufU"
"""Kinds of numbers and texts; none of them holds an object."""

_format: Any = np.lib.format
_END, _LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})\.npy")


def unpack(data: bytes, path: Path, only: Container[str] | None = None) -> dict[str, NDArray[Any]]:
    """Unpack an archive that ``numpy.savez`` or ``savez_compressed`` made.

    Args:
        data: the archive.
        path: its file, for complaints.
        only: names of arrays that are wanted; all if None.

    Raises:
        InputError: it is no such archive, holds something else than plain arrays, or declares more bytes than
            :data:`UNPACKED`. Nothing was unpacked then.
    """
    _require_small_directory(data, path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [_NAME.fullmatch(member.filename) for member in members]
            if None in names or len({member.filename for member in members}) < len(members):
                raise InputError("holds a file that is no array, or one twice", file=path)
            if sum(member.file_size for member in members) > UNPACKED:
                raise InputError(f"declares more than {UNPACKED >> 20} MiB of arrays", file=path)
            called = [(member.filename[:-4], member) for member in members]
            return {name: _array(archive, one, path) for name, one in called if only is None or name in only}
    except InputError:
        raise
    except Exception as error:  # Whatever zipfile, zlib and numpy raise on bytes that make no sense.
        raise InputError(f"cannot be unpacked ({type(error).__name__}: {error})", file=path) from None


def array_names(data: bytes, path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an archive, none of which is unpacked.

    Args:
        data: the archive.
        path: its file, for complaints.

    Raises:
        InputError: it is no archive of numpy.
    """
    _require_small_directory(data, path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except Exception as error:
        raise InputError(f"cannot be unpacked ({type(error).__name__}: {error})", file=path) from None


def _require_small_directory(data: bytes, path: Path) -> None:
    """Look at the last bytes, in which an archive says how many files it holds, before all are listed."""
    end = data[-22:]
    entries = int.from_bytes(end[10:12], "little")
    if len(end) < 22 or not end.startswith(_END) or data[-42:-38] == _LOCATOR:
        raise InputError("is no archive as numpy writes them", file=path)
    if entries > MEMBERS or int.from_bytes(end[12:16], "little") > MEMBERS << 10:
        raise InputError(f"holds more than {MEMBERS} arrays", file=path)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    name = member.filename[:-4]
    with archive.open(member) as stream:
        version = _format.read_magic(stream)
        readers = {(1, 0): _format.read_array_header_1_0, (2, 0): _format.read_array_header_2_0}
        if version not in readers:
            raise InputError("has a header of an unknown version", file=path, field=name)
        shape, _, dtype = readers[version](stream)
        header = stream.tell()
    if dtype.kind not in SAFE or dtype.hasobject or dtype.subdtype is not None:
        raise InputError(f"holds {dtype}; numbers or text are needed", file=path, field=name)
    if not dtype.itemsize or not all(0 <= side < LONGEST for side in shape):
        raise InputError(f"has the shape {shape} of {dtype}", file=path, field=name)
    if math.prod(shape) * dtype.itemsize + header != member.file_size:
        raise InputError(f"does not hold the {shape} of {dtype} that it declares", file=path, field=name)
    with archive.open(member) as stream:
        array: NDArray[Any] = _format.read_array(stream, allow_pickle=False)
    return array
