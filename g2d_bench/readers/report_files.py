"""The files in which reports come: text, XML, archives of XML; whatever else lies there is one line."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.readers.folders import walk
from g2d_bench.safe_files import unreadable

LARGEST = 1 << 20
"""Bytes that a report may have; the longest of any release have a hundredth of it."""


def report_bytes(path: Path) -> bytes:
    """Read the file of one report.

    Raises:
        FileNotFoundError: there is none; so do several places at which it may be.
        InputError: it cannot be read, is no regular file, or is larger than :data:`LARGEST`.
    """
    try:
        return read_regular(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except (OSError, ValueError) as error:
        raise unreadable(error, path) from None


def parse_xml(data: bytes, name: Path | str) -> ElementTree.Element:
    """Parse the XML of one report.

    Args:
        data: the content of its file.
        name: of the file, for complaints.

    Raises:
        InputError: it is no XML, or in an encoding that is not known here.
    """
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise InputError(f"not an XML report ({error})", file=f"{name}:{line}") from None
    except (LookupError, ValueError) as error:
        raise InputError(f"not an XML report ({error})", file=name) from None


def xml_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the XML files of a folder or an archive.

    Raises:
        InputError: a file or the archive cannot be read, or a report is larger than :data:`LARGEST`.
    """
    if source.is_dir():
        for name in sorted(f"{folder}/{name}" for folder, names in walk(source) for name in names):
            if name.endswith(".xml"):
                try:
                    yield name, report_bytes(Path(name))
                except FileNotFoundError:
                    raise InputError("is a link to nothing, or went away", file=name) from None
        return
    if source.exists() and not source.is_file():
        raise InputError("is no regular file", file=source)
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".xml"):
                    if member.size > LARGEST:
                        raise InputError(
                            f"is larger than the {LARGEST >> 20} MiB that a report may have",
                            file=f"{source}:{member.name}",
                        )
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield f"{source}:{member.name}", stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise InputError(f"not a readable archive of reports ({error})", file=source) from None
