"""Files of reports that hold something else, or nothing that ends."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.openi import _case
from g2d_bench.readers.report_files import LARGEST, parse_xml, report_bytes, xml_files
from g2d_bench.readers.reports import read_nlmcxr, read_report

XML = b'<r><uId id="CXR1"/></r>'


def huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(20 << 30)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "is no regular file"),
    "a hole of 20 GB": (huge, "is larger than the 1 MiB"),
    "a folder": (Path.mkdir, "is no regular file"),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_report_is_not_waited_for_nor_read(tmp_path: Path, what: str) -> None:
    make, message = ODD[what]
    path = tmp_path / "1.xml"
    make(path)
    for read in (report_bytes, read_report, _case):
        with pytest.raises(InputError, match=message):
            read(path)
    if not path.is_dir():
        with pytest.raises(InputError, match=message):
            read_nlmcxr(tmp_path)
    with pytest.raises(FileNotFoundError):
        report_bytes(tmp_path / "none")


@pytest.mark.parametrize("encoding", ["foo", "utf-7", "utf-32", "hex", "idna", "rot13", "undefined"])
def test_an_encoding_that_is_none(tmp_path: Path, encoding: str) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + XML
    with pytest.raises(InputError, match=r"^a\.xml(:1)?: not an XML report"):
        parse_xml(data, "a.xml")
    (tmp_path / "1.xml").write_bytes(data)
    with pytest.raises(InputError, match=r"1\.xml(:1)?: not an XML report"):
        read_nlmcxr(tmp_path)


def test_archives(tmp_path: Path) -> None:
    def pack(content: bytes) -> Path:
        with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
            member = tarfile.TarInfo("e/1.xml")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        return tmp_path / "a.tgz"

    assert list(xml_files(pack(XML))) == [(f"{tmp_path / 'a.tgz'}:e/1.xml", XML)]
    with pytest.raises(InputError, match=r"a\.tgz:e/1\.xml: is larger than the 1 MiB"):
        list(xml_files(pack(bytes(LARGEST + 1))))
    os.mkfifo(tmp_path / "pipe.tgz")
    with pytest.raises(InputError, match=r"pipe\.tgz: is no regular file"):
        list(xml_files(tmp_path / "pipe.tgz"))
