"""Packed tables: what ordinary tools, browsers and servers leave under the name of one."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers import unpack
from g2d_bench.readers.unpack import unpacked

TEXT = b"id,value\r\na,1\r\n"


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def marked(data: bytes, *, flag: int = 0, method: int | None = None) -> bytes:
    """Set a flag or the method in both headers of the one member of a zip archive."""
    changed = bytearray(data)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(signature) + place
        changed[start] |= flag
        if method is not None:
            struct.pack_into("<H", changed, start + 2, method)
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", TEXT),
        ("t.csv.gz", gzip.compress(TEXT, mtime=0)),
        ("t.csv.gz", TEXT),
        ("t.csv", gzip.compress(TEXT, mtime=0)),
        ("t.csv.gz", gzip.compress(TEXT[:5], mtime=0) + gzip.compress(TEXT[5:], mtime=0)),
        ("t.csv.zip", zipped(("t.csv", TEXT))),
        ("t.csv.zip", zipped(("export/", b""), ("export/t.csv", TEXT))),
        (
            "t.csv.zip",
            zipped(("__MACOSX/._t.csv", b"x"), (".DS_Store", b"x"), ("Thumbs.db", b"x"), ("u", TEXT)),
        ),
        ("t.csv.zip", zipped(("readme.txt", b"x"), ("t.csv", TEXT))),
        ("t.csv.zip", zipped(("t.csv.gz", gzip.compress(TEXT, mtime=0)))),
    ],
    ids=["plain", "gz", "gz-is-plain", "gz-unnamed", "gz-parts", "zip", "folder", "hidden", "named", "twice"],
)
def test_read(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert unpacked(tmp_path / name) == TEXT


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv.gz", gzip.compress(TEXT * 99, mtime=0)[:-20], "cannot be read: "),
        (
            "t.csv.gz",
            gzip.compress(TEXT, mtime=0)[:12] + b"\xff" * 8 + gzip.compress(TEXT, mtime=0)[20:],
            "cannot be read: ",
        ),
        ("t.csv.gz", b"\x00\x01", "cannot be read: neither packed as gz nor text"),
        ("t.csv.zip", zipped(("t.csv", TEXT))[:-30], "cannot be read: "),
        ("t.csv.zip", zipped(), "archive holds 0 files, one table is needed"),
        ("t.csv.zip", zipped(("a.csv", TEXT), ("b.csv", TEXT)), "archive holds 2 files, one table is needed"),
        ("t.csv.zip", marked(zipped(("t.csv", TEXT)), flag=1), "is encrypted; unpack it with its password"),
        ("t.csv.zip", marked(zipped(("t.csv", TEXT)), method=9), "is packed by Deflate64, which"),
        ("t.csv.zip", marked(zipped(("t.csv", TEXT)), method=98), "is packed by method 98, which"),
        ("t.csv", zipped(("[Content_Types].xml", b"x"), ("xl/workbook.xml", b"x")), "is an Excel workbook"),
        ("t.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook"),
        ("t.csv", b"\xfd7zXZ\x00data", "is packed as xz, which cannot be read here; unpack it"),
        ("t.csv", b"\r\n<!DOCTYPE html><html>", "is a web page, not a table: the download wants a login"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
    ],
)
def test_one_line_names_the_file(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        unpacked(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip"])
def test_what_unpacks_to_more_than_any_table_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(unpack, "LIMIT", 1 << 20)
    bomb = b"0" * ((1 << 20) + 1)
    data = {"t.csv": bomb, "t.csv.gz": gzip.compress(bomb), "t.csv.zip": zipped(("t.csv", bomb))}[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="holds more than 1 MiB unpacked"):
        unpacked(tmp_path / name)
    monkeypatch.setattr(unpack, "LIMIT", (1 << 20) + 1)
    assert unpacked(tmp_path / name) == bomb


def test_packed_over_and_over(tmp_path: Path) -> None:
    data = TEXT
    for _ in range(4):
        data = gzip.compress(data)
    (tmp_path / "t.csv.gz").write_bytes(data)
    with pytest.raises(InputError, match="packed more than 3 times"):
        unpacked(tmp_path / "t.csv.gz")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv: is no regular file"):
        unpacked(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"u\.csv: cannot be read: No such file"):
        unpacked(tmp_path / "u.csv")
