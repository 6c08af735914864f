"""Every single-frame grey file that pydicom ships, against a reading of its own by the standard.

The reading here shares nothing with the package but pydicom's parsing of elements, and Pillow's of JPEG
code streams: samples are unpacked by hand, formulas of PS3.3 C.11 are written out for single numbers.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless

from g2d_bench.errors import InputError
from g2d_bench.readers.dicom import _said
from g2d_bench.readers.images import read_image

ROOT = Path(pydicom.__file__).parent / "data" / "test_files"
HALF = 0.5 + 1e-6

# What no decoder reads that this project needs, and what is damaged.
REFUSED = {
    "GDCMJ2K_TextGBR.dcm": "broken data stream",
    "JPEG-lossy.dcm": "12-bit precision",
    "JPGExtended.dcm": "12-bit precision",
    "JPEG2000-embedded-sequence-delimiter.dcm": "Image size",
    "JPEGLSNearLossless_08.dcm": "JPEG-LS",
    "JPEGLSNearLossless_16.dcm": "JPEG-LS",
    "MR_small_jpeg_ls_lossless.dcm": "JPEG-LS",
    "MR_truncated.dcm": "less than expected",
    "badVR.dcm": "NumberOfFrames: 1A frames",
}


def headers() -> dict[str, Any]:
    found = {}
    for path in sorted(ROOT.rglob("*")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header = pydicom.dcmread(path)
            except Exception:
                continue
            names = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
            if any(name in header for name in names) and "Rows" in header:
                found[path.relative_to(ROOT).as_posix()] = header
    return found


HEADERS = headers()
SINGLE = [name for name, one in HEADERS.items() if str(one.get("NumberOfFrames") or 1) in ("1", "1A")]
SEVERAL = [name for name in HEADERS if name not in SINGLE]
GREY = [
    name
    for name in SINGLE
    if HEADERS[name].PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2")
    and Path(name).name not in REFUSED
]
PALETTE = [name for name in SINGLE if HEADERS[name].PhotometricInterpretation == "PALETTE COLOR"]


def unpacked_rle(frame: bytes) -> list[bytes]:
    """PS3.5 Annex G: a header of 64 bytes, then one segment per byte of a sample, the highest first."""
    count, *offsets = struct.unpack("<16L", frame[:64])
    stops = [*offsets[1:count], len(frame)]
    segments = []
    for start, stop in zip(offsets[:count], stops, strict=True):
        out, place = bytearray(), start
        while place < stop:
            head = frame[place]
            if head < 128:
                out += frame[place + 1 : place + 2 + head]
                place += head + 2
            elif head > 128:
                out += frame[place + 1 : place + 2] * (257 - head)
                place += 2
            else:
                place += 1
        segments.append(bytes(out))
    return segments


def samples(header: Any) -> NDArray[Any]:
    """Stored values [H, W], signed where the header says so."""
    shape, syntax = (header.Rows, header.Columns), header.file_meta.TransferSyntaxUID
    count, bits = shape[0] * shape[1], header.BitsAllocated
    order = "<" if syntax.is_little_endian else ">"
    for name, kind in (("FloatPixelData", "f"), ("DoubleFloatPixelData", "d")):
        if name in header:
            return np.array(struct.unpack(f"{order}{count}{kind}", header[name].value)).reshape(shape)
    data: bytes = header.PixelData
    if syntax.name == "RLE Lossless":
        segments = unpacked_rle(get_frame(data, 0, number_of_frames=1))
        words = sum(
            np.frombuffer(one, np.uint8, count).astype(np.int64) << 8 * (len(segments) - 1 - place)
            for place, one in enumerate(segments)
        )
    elif syntax.is_compressed:
        image = Image.open(io.BytesIO(get_frame(data, 0, number_of_frames=1)))
        words = np.array(image).astype(np.int64).reshape(-1)
        if "2000" in syntax.name:
            sign_and_depth = get_frame(data, 0, number_of_frames=1)[42]  # Ssiz of the code stream
            depth = (sign_and_depth & 127) + 1
            words = words >> (16 - depth if depth > 8 else 0)  # Pillow moves samples up to 16 bits,
            if sign_and_depth & 128:
                words = words - (1 << (depth - 1))  # and makes signed ones unsigned
            words = words & ((1 << depth) - 1)
            return (signed(words, depth) if header.PixelRepresentation else words).reshape(shape)
    elif bits == 1:
        words = np.array([data[place // 8] >> place % 8 & 1 for place in range(count)])
    else:
        if bits == 8 and order == ">" and header["PixelData"].VR == "OW":
            data = b"".join(data[place : place + 2][::-1] for place in range(0, len(data), 2))
        letter = {8: "B", 16: "H", 32: "L"}[bits]
        words = np.array(struct.unpack_from(f"{order}{count}{letter}", data))
    words = np.asarray(words) & ((1 << header.BitsStored) - 1)
    return (signed(words, header.BitsStored) if header.PixelRepresentation else words).reshape(shape)


def signed(words: NDArray[Any], bits: int) -> NDArray[Any]:
    low = words & ((1 << bits) - 1)
    return np.where(low >> (bits - 1), low - (1 << bits), low)


def table(header: Any, descriptor: Any, element: Any) -> Callable[[float], int]:
    entries, first, _ = descriptor
    value = element.value
    if isinstance(value, bytes):
        order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
        value = struct.unpack(f"{order}{len(value) // 2}H", value)
    if first >= 32768 and header.PixelRepresentation:
        first -= 65536
    return lambda x: int(value[min(max(round(x) - first, 0), (entries or 65536) - 1)])


def reading(header: Any) -> NDArray[np.float64]:
    """The image from 0 to 255, not rounded."""
    stored = samples(header)
    values = {value: float(value) for value in np.unique(stored).tolist()}
    if "PixelPaddingValue" in header:
        values = {value: shown for value, shown in values.items() if value != header.PixelPaddingValue}
    plain = stored.dtype.kind in "iu" and header.BitsAllocated <= 8
    if "ModalityLUTSequence" in header:
        item = header.ModalityLUTSequence[0]
        look_up = table(header, item.LUTDescriptor, item["LUTData"])
        values = {value: float(look_up(x)) for value, x in values.items()}
        plain = False
    elif "RescaleSlope" in header and (header.RescaleSlope, header.RescaleIntercept) != (1, 0):
        slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
        values = {value: x * slope + intercept for value, x in values.items()}
        plain = False
    centre, width = header.get("WindowCenter"), header.get("WindowWidth")
    if centre is not None and width is not None:
        c = float(centre if isinstance(centre, float | int) else centre[0])
        w = float(width if isinstance(width, float | int) else width[0])

        def windowed(x: float) -> float:  # C.11.2.1.2.1
            if x <= c - 0.5 - (w - 1) / 2:
                return 0
            if x > c - 0.5 + (w - 1) / 2:
                return 255
            return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255

        values = {value: windowed(x) for value, x in values.items()}
    elif plain and "VOILUTSequence" not in header:
        full = 2**header.BitsStored - 1
        values = {value: x / full * 255 for value, x in values.items()}
    else:
        if "VOILUTSequence" in header:
            item = header.VOILUTSequence[0]
            look_up = table(header, item.LUTDescriptor, item["LUTData"])
            values = {value: float(look_up(x)) for value, x in values.items()}
        shown = [x for x in values.values() if math.isfinite(x)]
        low, high = min(shown), max(shown)
        values = {value: (x - low) / (high - low) * 255 for value, x in values.items()}
    if header.PhotometricInterpretation == "MONOCHROME1":
        values = {value: 255 - x for value, x in values.items()}
    shown_as: NDArray[np.float64] = np.vectorize(lambda value: values.get(value, 0.0), otypes=[float])(stored)
    return shown_as


def test_the_set_is_there() -> None:
    """An edition of pydicom without its files would make the tests below say nothing."""
    assert len(GREY) >= 45
    assert PALETTE
    assert SEVERAL
    assert {HEADERS[name].BitsAllocated for name in GREY} >= {1, 8, 16, 32}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", GREY)
def test_grey_files_agree_within_half_a_grey_level(name: str) -> None:
    reference = reading(HEADERS[name])
    assert np.abs(read_image(ROOT / name) - reference).max() <= HALF


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SEVERAL)
def test_files_of_several_frames_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"NumberOfFrames: \d+ frames, one expected"):
        read_image(ROOT / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in SINGLE if Path(name).name in REFUSED])
def test_what_cannot_be_decoded_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[Path(name).name]) as caught:
        read_image(ROOT / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", PALETTE)
def test_palettes_in_either_order_of_bytes(tmp_path: Path, name: str, order: str) -> None:
    """The same image stored little- and big-endian; looked up pixel by pixel."""
    header = pydicom.dcmread(ROOT / name)
    index = samples(header)
    words = [
        struct.unpack(f"<{len(data) // 2}H", data)
        for data in (
            header[f"{colour}PaletteColorLookupTableData"].value for colour in ("Red", "Green", "Blue")
        )
    ]
    _, first, bits = header.RedPaletteColorLookupTableDescriptor
    levels = [[word >> (bits - 8) for word in channel] for channel in words]
    grey = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in zip(*levels, strict=True)]
    reference = np.array(grey)[np.clip(index - first, 0, len(grey) - 1)]
    path = ROOT / name
    if order == ">":
        path = tmp_path / "big.dcm"
        for colour in ("Red", "Green", "Blue"):
            element = header[f"{colour}PaletteColorLookupTableData"]
            element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
        header.PixelData = np.frombuffer(header.PixelData, "<u2").byteswap().tobytes()
        header["PixelData"].VR = "OW"
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        fresh = pydicom.dataset.Dataset()
        fresh.file_meta = header.file_meta
        fresh.update({element.tag: element for element in header})
        fresh.save_as(path, enforce_file_format=True)
    assert np.abs(read_image(path) - reference).max() <= 0.51  # luma weights in 1 / 65,536


@pytest.mark.parametrize("runs", [1, 40_000])
def test_runs_that_unpack_to_more_than_the_film_are_refused(
    tmp_path: Path, write_dicom: Any, runs: int
) -> None:
    """40,000 runs of two bytes are 5 MB for a film of 64."""
    path = write_dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint8))
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = RLELossless
    packed = struct.pack("<16L", 1, 64, *[0] * 14) + bytes([193, 7]) * runs
    header.PixelData = encapsulate([packed])
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    if runs == 1:
        assert read_image(path).shape == (8, 8)
        return
    # What is packed is refused by its own length where it is longer than the film can need.
    with pytest.raises(InputError, match=r"not a readable DICOM image: Pixel Data: .* packed bytes for 64"):
        read_image(path)
    short = struct.pack("<16L", 1, 64, *[0] * 14) + bytes([129, 7]) * 60
    header.PixelData = encapsulate([short])
    header.save_as(path)
    with pytest.raises(InputError, match="unpacks to more than 4,224 bytes, 64 expected"):
        read_image(path)


@pytest.mark.parametrize(
    "said", ["bad 'MRN 12345'", 'found b"Doe^Jane" here', "VR, but found b'MRN 12345", "x\nMRN 12345"]
)
def test_libraries_are_not_quoted_with_what_stands_in_the_header(said: str) -> None:
    shown = _said(ValueError(said))
    assert "MRN" not in shown
    assert "Doe" not in shown
    assert len(_said(ValueError("x" * 999))) == 200
