"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

# No test may reach a model hub; this must stand before transformers is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"


WriteDicom = Callable[..., Path]


@pytest.fixture(scope="session")
def real_pack() -> Path:
    """The folder with real radiographs and annotation tables, outside of the project."""
    default = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("G2D_BENCH_REAL", default)).resolve()
    if not (folder / "covid-cxr").is_dir():
        pytest.skip(f"real sample pack not found at {folder} (set G2D_BENCH_REAL)")
    return folder


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a covid-cxr release of 40 tiny films, each with a lung mask; a few seconds' work."""
    import csv

    import numpy as np
    from PIL import Image

    root = tmp_path_factory.mktemp("data")
    folder = root / "covid-cxr"
    for name in ("images", "annotations/v7labs-lung-masks"):
        (folder / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    table = []
    for n in range(40):
        up, left, radius = 20 + generator.integers(0, 24, 2).tolist()[0], 20 + n % 24, 8 + n % 6
        mask = (rows - up) ** 2 + (columns - left) ** 2 < radius**2
        film = np.where(mask, 60, 180) + generator.normal(0, 12, (64, 64))
        Image.fromarray(film.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"f{n}.png")
        Image.fromarray((255 * mask).astype(np.uint8)).save(
            folder / "annotations" / "v7labs-lung-masks" / f"f{n}.png"
        )
        table.append([str(n), "M", "50", "COVID-19", "PA", "X-ray", "images", f"f{n}.png", "note"])
    with (folder / "metadata.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes"]
        )
        writer.writerows(table)
    return root


@pytest.fixture(scope="session")
def quick_protocols(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the protocol `quick`: `clean` with a handful of steps."""
    folder = tmp_path_factory.mktemp("protocols")
    text = (Path(__file__).resolve().parents[1] / "g2d_bench" / "protocols" / "clean.toml").read_text()
    for key, value in {"epochs": 1, "min_steps": 6, "max_steps": 6, "validate_every": 3}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (folder / "quick.toml").write_text(text)
    return folder


@pytest.fixture(scope="session")
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
