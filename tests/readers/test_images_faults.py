"""Damaged and hostile files of every format: they are read or refused in a line and fill no memory."""

from __future__ import annotations

import io
import random
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from g2d_bench.errors import InputError
from g2d_bench.readers.images import image_size, read_dicom_header, read_image

WriteDicom = Callable[..., Path]

TRIES = 40
"""Mutations of each file here; `python tests/data/test_image_faults.py 2000` does more."""
MEMORY = 400 << 20
"""Bytes by which the process may grow; no file has more than 30 kB."""
EXTREMES = [bytes(4), b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 3 + b"\x7f", b"\0\0\0\1", b"\x80\0\0\0"]


def smooth() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:40, 0:56]
    image: NDArray[np.uint8] = ((3 * y + 5 * x + y * x // 7) % 256).astype(np.uint8)
    return image


def rasters() -> dict[str, bytes]:
    grey = Image.fromarray(smooth())
    deep = Image.fromarray(smooth().astype(np.uint16) * 200)
    floats = Image.fromarray(smooth().astype(np.float32))
    exif = Image.Exif()
    exif[0x0112] = 6
    made: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "grey.png": (grey, "PNG", {"exif": exif}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (grey.convert("P"), "PNG", {"transparency": 3}),
        "colour.png": (grey.convert("RGBA"), "PNG", {}),
        "grey.jpg": (grey, "JPEG", {"exif": exif}),
        "inks.jpg": (grey.convert("CMYK"), "JPEG", {}),
        "progressive.jpg": (grey.convert("RGB"), "JPEG", {"progressive": True}),
        "plain.tif": (grey, "TIFF", {"tiffinfo": {274: 8}}),
        "deep.tif": (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "float.tif": (floats, "TIFF", {}),
        "lzw.tif": (grey.convert("RGB"), "TIFF", {"compression": "tiff_lzw"}),
        "fax.tif": (grey.convert("1"), "TIFF", {"compression": "group4"}),
        "grey.gif": (grey, "GIF", {}),
        "grey.bmp": (grey, "BMP", {}),
        "grey.webp": (grey, "WEBP", {"exif": exif}),
        "grey.jp2": (grey, "JPEG2000", {}),
        "deep.pgm": (deep, "PPM", {}),
        "two.tif": (grey, "TIFF", {"save_all": True, "append_images": [grey]}),
        "moving.png": (grey, "PNG", {"save_all": True, "append_images": [deep.convert("L")]}),
    }
    files = {}
    for name, (image, kind, options) in made.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    return files


def dicoms(folder: Path, write: WriteDicom) -> dict[str, bytes]:
    deep = smooth().astype(np.uint16) * 16
    lookup = Dataset()
    lookup.LUTDescriptor, lookup.LUTData = [4096, 0, 16], np.arange(4096, dtype="<u2").tobytes()
    palette: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    shutter = {"ShutterShape": ["CIRCULAR", "POLYGONAL"], "CenterOfCircularShutter": [20, 20]}
    shutter |= {"RadiusOfCircularShutter": 18, "VerticesOfThePolygonalShutter": [1, 1, 1, 50, 40, 50]}
    files = {
        "window.dcm": write(folder / "a", deep, WindowCenter=2000, WindowWidth=3000, RescaleSlope=2),
        "tables.dcm": write(
            folder / "b",
            deep,
            ModalityLUTSequence=Sequence([lookup]),
            VOILUTSequence=Sequence([lookup]),
            PixelPaddingValue=16,
            PhotometricInterpretation="MONOCHROME1",
        ),
        "palette.dcm": write(folder / "c", smooth(), **palette),
        "shutter.dcm": write(folder / "d", deep, BitsStored=12, HighBit=15, **shutter),
        "colour.dcm": write(folder / "e", np.stack([smooth()] * 3, axis=-1)),
        "wide.dcm": write(folder / "f", deep.astype(np.uint32) * 1000),
        "jpeg.dcm": write(folder / "g", smooth(), jpeg=rasters()["grey.jpg"]),
    }
    found = {name: path.read_bytes() for name, path in files.items()}
    for name, syntax in (("rle.dcm", RLELossless), ("deflated.dcm", DeflatedExplicitVRLittleEndian)):
        header = dcmread(files["window.dcm"])
        if syntax == RLELossless:
            header.compress(syntax)
        header.file_meta.TransferSyntaxUID = syntax
        header.save_as(folder / name, enforce_file_format=True)
        found[name] = (folder / name).read_bytes()
    header = dcmread(files["jpeg.dcm"])
    header.file_meta.TransferSyntaxUID = UID(JPEG2000Lossless)
    from pydicom.encaps import encapsulate

    header.PixelData = encapsulate([rasters()["grey.jp2"]])
    header.save_as(folder / "jp2.dcm", enforce_file_format=True)
    found["jp2.dcm"] = (folder / "jp2.dcm").read_bytes()
    return found


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, changed, doubled or filled somewhere; more often near the beginning, where the header is."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        reach = chance.choice([64, 512, len(changed)]) if len(changed) > 64 else len(changed)
        place = chance.randrange(max(1, min(reach, len(changed))))
        how = chance.randrange(7)
        if how == 0:
            del changed[place:]
        elif how == 1:
            del changed[place : place + chance.choice([1, 2, 4, 100])]
        elif how == 2:
            changed[place:place] = changed[place : place + chance.choice([1, 2, 8, 200])]
        elif how == 3:
            changed[place : place + 4] = chance.choice(EXTREMES)
        elif how == 4:
            changed[place : place + 2] = chance.choice(EXTREMES)[:2]
        elif changed:
            changed[place % len(changed)] = chance.randrange(256)
    return bytes(changed)


def attack(data: bytes, path: Path, seed: int, tries: int) -> dict[str, int]:
    """Count how often mutations of a file were read and refused; anything else is raised."""
    count = {"read": 0, "refused": 0}
    lines: list[str] = []
    chance = random.Random(seed)
    for _ in range(tries):
        broken = mutated(data, chance)
        path.write_bytes(broken)
        for reader in (
            lambda: read_image(path),
            lambda: image_size(broken, path),  # noqa: B023 - called at once
            lambda: read_dicom_header(path),
        ):
            try:
                result = reader()
            except InputError as error:
                count["refused"] += 1
                lines.append(str(error))
            else:
                assert not isinstance(result, np.ndarray) or (result.dtype == np.uint8 and result.ndim == 2)
                count["read"] += 1
    assert all(line.startswith(str(path)) and "\n" not in line for line in lines), lines
    return count


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(tmp_path: Path, write_dicom: WriteDicom) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = {"read": 0, "refused": 0}
    for name, data in (rasters() | dicoms(tmp_path, write_dicom)).items():
        assert len(data) < 30_000
        for key, count in attack(data, tmp_path / name, seed=len(data), tries=TRIES).items():
            total[key] += count
    assert min(total.values()) > 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY >> 10


if __name__ == "__main__":
    import sys
    import tempfile
    import time
    import warnings

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from conftest import write_dicom as fixture  # type: ignore[import-not-found]

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        files = rasters() | dicoms(Path(name), fixture.__wrapped__())
        for title, content in files.items():
            started = time.perf_counter()
            result = attack(content, Path(name) / title, seed=int(sys.argv[2]), tries=int(sys.argv[1]))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(title, result, f"{time.perf_counter() - started:.1f} s, peak {peak} MB")
