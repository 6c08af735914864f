"""Tiny raw files for the readers' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

WriteDicom = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that no other test and no user has."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def write_dicom() -> WriteDicom:
    """Write a DICOM file; keyword arguments set or (None) remove header elements."""

    def write(path: Path, pixels: NDArray[Any], *, jpeg: bytes | None = None, **elements: object) -> Path:
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        header.Rows, header.Columns = pixels.shape[:2]
        header.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
        header.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
        if pixels.ndim == 3:
            header.PlanarConfiguration = 0
        bits = pixels.dtype.itemsize * 8
        header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
        header.PixelRepresentation = int(pixels.dtype.kind == "i")
        header.PixelData = encapsulate([jpeg]) if jpeg else pixels.tobytes()
        for name, value in elements.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        header.save_as(path, enforce_file_format=True)
        return path

    return write
