"""Reading a file whatever it is packed in; told by its first bytes, because names are often wrong."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from g2d_bench.errors import InputError

LIMIT = 1 << 29
"""Bytes that a table may have, unpacked. The largest of any release has a quarter of that."""

_LAYERS = 3
_HIDDEN = ("thumbs.db", "desktop.ini")
_FOREIGN = {
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf'\x1c": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_POINTER = b"version https://git-lfs.github.com/spec/"
_WORKBOOK = "is an Excel workbook, not a table; save its sheet as CSV"
_DEFLATE64 = 9


def unpacked(path: Path) -> bytes:
    """Read a table's bytes, out of gzip or a zip archive with one table in it where it is packed.

    The content decides, not the ending: browsers unpack a ``.gz`` and keep its name. Folders, hidden files
    and what macOS and Windows add to archives do not count; of several files, the one named as the archive
    does.

    Raises:
        InputError: it cannot be read or unpacked, has more than :data:`LIMIT` bytes, or is something else
            than a table (a web page, a Git LFS pointer, a workbook).
    """
    try:
        if not path.is_file():
            # Neither a pipe nor a device is waited for.
            raise InputError(
                "is no regular file" if path.exists() else "cannot be read: No such file", file=path
            )
        if path.stat().st_size > LIMIT:
            raise _too_large(path)
        data = path.read_bytes()
        for _ in range(_LAYERS):
            if data[:2] == b"\x1f\x8b":
                data = _gunzip(data, path)
            elif data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                data = _unzip(data, path)
            else:
                _check_plain(data, path)
                return data
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot be read: {reason}", file=path) from error
    raise InputError(f"is packed more than {_LAYERS} times", file=path)


def _gunzip(data: bytes, path: Path) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        found = stream.read(LIMIT + 1)
    if len(found) > LIMIT:
        raise _too_large(path)
    return found


def _unzip(data: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [entry for entry in archive.infolist() if not entry.is_dir() and _counts(entry.filename)]
        if any(entry.filename == "[Content_Types].xml" for entry in members):
            raise InputError(_WORKBOOK, file=path)
        named = [m for m in members if PurePosixPath(m.filename).name == path.name.removesuffix(".zip")]
        chosen = members if len(members) == 1 else named
        if len(chosen) != 1:
            raise InputError(f"archive holds {len(members)} files, one table is needed", file=path)
        entry = chosen[0]
        if entry.flag_bits & 1:
            raise InputError("is encrypted; unpack it with its password", file=path)
        if entry.file_size > LIMIT:
            raise _too_large(path)
        try:
            with archive.open(entry) as stream:
                return stream.read()
        except NotImplementedError:
            how = "Deflate64" if entry.compress_type == _DEFLATE64 else f"method {entry.compress_type}"
            raise InputError(
                f"is packed by {how}, which cannot be read here; unpack it, or pack it as .gz", file=path
            ) from None


def _counts(name: str) -> bool:
    last = PurePosixPath(name).name
    return not name.startswith("__MACOSX") and last[0] != "." and last.lower() not in _HIDDEN


def _check_plain(data: bytes, path: Path) -> None:
    """Refuse what is certainly no table, in words that say what to do about it."""
    for magic, name in _FOREIGN.items():
        if data.startswith(magic):
            raise InputError(f"is packed as {name}, which cannot be read here; unpack it", file=path)
    if data.startswith(_POINTER):
        raise InputError("is a Git LFS pointer, not the file itself; run 'git lfs pull'", file=path)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(_WORKBOOK, file=path)
    if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        raise InputError("is a web page, not a table: the download wants a login first", file=path)
    if path.suffix in (".gz", ".zip") and b"\0" in data[:512] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"cannot be read: neither packed as {path.suffix[1:]} nor text", file=path)


def _too_large(path: Path) -> InputError:
    return InputError(f"holds more than {LIMIT >> 20} MiB unpacked, no table is so large", file=path)
