"""The walk over a header gives the size that the parser gives, or leaves the file to it."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    generate_uid,
)

from g2d_bench.phantom import ensure
from g2d_bench.readers.dicom_walk import walked_size

PLAIN = (ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000Lossless)


def film(syntax: str, rows: int = 40, columns: int = 60, **more: Any) -> bytes:
    """Write a film as pydicom does."""
    header = Dataset()
    header.PatientID, header.PatientName, header.PatientAge = "p7", "A^B", "058Y"
    header.Rows, header.Columns, header.SamplesPerPixel = rows, columns, 1
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.PhotometricInterpretation = "MONOCHROME2"
    for name, value in more.items():
        setattr(header, name, value)
    header.add_new(0x00091001, "UN", b"private")
    header[0x00091001].VR = "LO"
    pixels = bytes(rows * columns)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["film"])
    if UID(syntax).is_encapsulated:
        from pydicom.encaps import encapsulate

        header.PixelData = encapsulate([pixels])
        header["PixelData"].is_undefined_length = True
    else:
        header.PixelData = pixels
    header["PixelData"].VR = "OB"
    header.file_meta = meta
    stream = BytesIO()
    pydicom.dcmwrite(stream, header, enforce_file_format=True)
    return stream.getvalue()


def parsed(data: bytes) -> tuple[int, int] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        rows, columns = header.get("Rows"), header.get("Columns")
    return None if rows is None or columns is None else (int(rows), int(columns))


@pytest.mark.parametrize("syntax", PLAIN)
def test_an_ordinary_header_is_walked(syntax: str) -> None:
    assert walked_size(film(syntax)) == (40, 60)


def test_lists_of_known_length_and_long_values_are_passed() -> None:
    inner = Dataset()
    inner.Rows, inner.Columns = 1, 2
    data = film(
        ExplicitVRLittleEndian,
        IconImageSequence=Sequence([inner]),
        RedPaletteColorLookupTableData=bytes(70000),
    )
    assert walked_size(data) == parsed(data) == (40, 60)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_other_encodings_are_left_to_the_parser(syntax: str) -> None:
    assert walked_size(film(syntax)) is None


def test_what_is_unusual_is_left_to_the_parser() -> None:
    data = film(ExplicitVRLittleEndian)
    rows = data.index(b"\x28\x00\x10\x00US")
    pixels = data.index(b"\xe0\x7f\x10\x00")
    element = data[rows : rows + 10]
    unusual = {
        "no file format": data[132:],
        "no pixels": data[:pixels],
        "cut in the header": data[: rows + 7],
        "two of them": data[:pixels] + element[:8] + b"\x07\x00" + data[pixels:],
        "other representation": data.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00SS"),
        "unknown representation": data.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00UN"),
        "two values": data[:rows] + b"\x28\x00\x10\x00US\x04\x00\x28\x00\x28\x00" + data[rows + 10 :],
        "none": data[:rows] + data[rows + 10 :],
        "a list without length": film(
            ExplicitVRLittleEndian, IconImageSequence=Sequence([Dataset()])
        ).replace(b"SQ\x00\x00\x08\x00\x00\x00", b"SQ\x00\x00\xff\xff\xff\xff"),
        "wrong length of the description": data[:140] + b"\x04" + data[141:],
        "its own description twice": data[:pixels] + data[132:144] + data[pixels:],
    }
    assert {name: walked_size(changed) for name, changed in unusual.items()} == dict.fromkeys(unusual)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PLAIN))
def test_damaged_headers_never_give_another_size_than_the_parser(seed: int, syntax: str) -> None:
    """Bytes are changed, left out or repeated before the pixels; what is walked equals what is parsed."""
    generator = np.random.default_rng(seed)
    data = bytearray(film(syntax))
    end = data.index(b"\xe0\x7f\x10\x00")
    for _ in range(generator.integers(1, 4)):
        place = int(generator.integers(128, end))
        length = int(generator.integers(1, 12))
        match generator.integers(0, 3):
            case 0:
                data[place : place + length] = generator.bytes(length)
            case 1:
                del data[place : place + length]
            case _:
                data[place:place] = data[place : place + length]
    found = walked_size(bytes(data))
    if found is not None:
        assert found == parsed(bytes(data))


def test_files_of_many_writers_are_parsed_alike() -> None:
    """The library brings files of its own: cameras, scanners, damaged ones, all encodings."""
    paths = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))
    walked = 0
    for path in paths:
        data = path.read_bytes()
        found = walked_size(data)
        if found is not None:
            assert found == parsed(data), path
            walked += 1
    assert walked >= 20
    assert len(paths) - walked >= 20


def test_generated_films_are_walked(tmp_path: Path) -> None:
    for dataset in ("rsna", "siim"):
        root = ensure(dataset, root=tmp_path, count=2, size=64)
        files = list(root.rglob("*.dcm"))
        assert files
        assert all(walked_size(path.read_bytes()) == (64, 64) for path in files)
