"""DICOM files: what of a header decides how its pixels are read, and what is refused.

The steps from samples to grey values are in :mod:`g2d_bench.readers.dicom_values`. Messages name the field.
"""

from __future__ import annotations

import re
import warnings
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError, first_line
from g2d_bench.readers.dicom_values import colour_values, grey_values, holder, palette_values
from g2d_bench.readers.dicom_walk import walked_size
from g2d_bench.readers.grey import MAX_DECODED, MAX_PIXELS

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

_QUOTED = re.compile(r"""b?'(?:\\.|[^'\\])*(?:'|$)|b?"(?:\\.|[^"\\])*(?:"|$)""")

OBLONG = 1.1
"""Pixels longer than this, per width, are refused: boxes and masks count pixels, and would lie elsewhere
than on the stretched film."""

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SPACINGS = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_JP2 = b"\x00\x00\x00\x0cjP  "
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 2 * MAX_PIXELS
_PILLOW_READS = tuple(f"1.2.840.10008.1.2.4.{kind}" for kind in (50, 51, 90, 91))


def read_dicom(data: bytes, path: Path) -> NDArray[np.uint8]:
    """Decode a DICOM file to grey values; see :func:`g2d_bench.readers.images.read_image`.

    Args:
        data: its content.
        path: its name, for errors.

    Returns:
        Shape [H, W], 0 black, 255 white.

    Raises:
        InputError: a damaged file, several frames, or a field that cannot be followed.
    """
    try:
        header = _parse(data)
        _check_pixels(header)
        kind = _check_kind(header)
        _check_square(header)
        stored, shift = _depth(header)
        pixels: NDArray[Any] = header.pixel_array
        expected = (header.Rows, header.Columns, *([3] if kind in COLOUR else []))
        if pixels.shape != expected:
            raise ValueError(f"Pixel Data: decoded to {pixels.shape}, {expected} expected")
        if shift:
            pixels = _shifted(pixels, header, stored, shift)
        if kind == PALETTE:
            return palette_values(pixels, header, stored)
        return colour_values(pixels, stored) if kind in COLOUR else grey_values(pixels, header, stored)
    # Parsers fail on broken files with whatever exception comes; all of them mean the same here.
    except Exception as error:
        raise InputError(f"not a readable DICOM image: {_said(error)}", file=path) from error


def read_header(data: bytes | Path, path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Read some fields of a DICOM file, without its pixels.

    Args:
        data: its content, or where it lies.
        path: its name, for errors.
        names: of the fields.

    Returns:
        Each field as text without blanks around it, "" where the header is silent.

    Raises:
        InputError: not readable.
    """
    try:
        header = _parse(data, stop_before_pixels=True, specific_tags=list(names))
        # pydicom converts a field when it is asked for, and fails only then.
        values = {name: header.get(name) for name in names}
        return {name: "" if value is None else str(value).strip() for name, value in values.items()}
    except Exception as error:
        raise InputError(f"not a readable DICOM header: {_said(error)}", file=path) from error


def dicom_size(data: bytes, path: Path) -> tuple[int, int]:
    """Return (H, W) of a DICOM image from its header.

    Raises:
        InputError: no readable header, or one without a size.
    """
    walked = walked_size(data)
    if walked is not None and all(walked):
        return walked
    size = []
    for name, value in read_header(data, path, ("Rows", "Columns")).items():
        if not value.isdecimal() or not int(value):
            raise InputError("is missing or 0", file=path, field=name)
        size.append(int(value))
    return size[0], size[1]


def _said(error: Exception) -> str:
    """Return the reason of a refusal; of what libraries say, without the values that they quote.

    Those come from the header, in which the patient's name and number stand.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # What decoders quote are names of transfer syntaxes.
    module = str(trace.tb_frame.f_globals.get("__name__")) if trace is not None else ""
    if module.startswith(("g2d_bench.", "pydicom.pixels.")):
        return str(error) or first_line(error)
    return _QUOTED.sub("…", first_line(error))[:200]


@cache
def _pydicom() -> Any:
    """Import pydicom without its warnings about headers: what matters of them is an error here."""
    import pydicom

    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def _parse(data: bytes | Path, **options: Any) -> Any:
    start = data[:4096] if isinstance(data, bytes) else b""
    if isinstance(data, Path):
        with data.open("rb") as file:
            start = file.read(4096)
    if _DEFLATED in start:
        _check_inflated(data if isinstance(data, bytes) else data.read_bytes())
    return _pydicom().dcmread(BytesIO(data) if isinstance(data, bytes) else data, **options)


def _check_inflated(data: bytes) -> None:
    """Refuse a deflated file that would grow beyond what any film is, before pydicom unpacks it whole."""
    if data[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        raise ValueError("FileMetaInformationGroupLength: is missing")
    stream, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    rest = data[144 + int.from_bytes(data[140:144], "little") :]
    while rest and size <= _MAX_INFLATED:
        size += len(stream.decompress(rest, 1 << 20))
        rest = stream.unconsumed_tail
    if size > _MAX_INFLATED:
        raise ValueError(f"it unpacks to more than {_MAX_INFLATED:,} bytes")


def _check_pixels(header: Any) -> None:
    """Refuse by the header what cannot be decoded, or only with more memory than any film needs."""
    if not any(header.get(name) for name in _PIXELS):
        raise ValueError("it holds no pixels")
    if "TransferSyntaxUID" not in header.file_meta:
        raise ValueError("its header names no transfer syntax")
    frames = header.get("NumberOfFrames")
    if frames is not None and str(frames) not in ("", "0", "1"):
        raise ValueError(f"NumberOfFrames: {frames} frames, one expected")
    rows, columns, samples, bits = (
        _whole(header, name) for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    )
    size = rows * columns * samples * max(bits, 8) // 8
    if rows * columns > MAX_PIXELS or size > MAX_DECODED:
        raise ValueError(
            f"Rows, Columns: {columns:,} × {rows:,} pixels in {size:,} bytes;"
            f" at most {MAX_PIXELS:,} in {MAX_DECODED:,} are decoded"
        )
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        from pydicom.encaps import get_frame

        _check_codestream(get_frame(header.PixelData, 0, number_of_frames=1), header, size)


def _check_runs(frame: bytes, size_of_all: int) -> None:
    """Refuse runs (PS3.5, annex G) that unpack to more than the pixels that they are said to be."""
    most = 2 * size_of_all + 4096  # segments are padded, and some writers pad generously
    if 64 * len(frame) <= most:
        return
    place, size = 64, 0
    while place < len(frame) and size <= most:
        head = frame[place]
        # 0 to 127: so many bytes and one more follow; 129 to 255: the next byte is repeated; 128: nothing.
        size += head + 1 if head < 128 else 257 - head if head > 128 else 0
        place += head + 2 if head < 128 else 2 if head > 128 else 1
    if size > most:
        raise ValueError(f"Pixel Data: unpacks to more than {most:,} bytes, {size_of_all:,} expected")


def _check_codestream(frame: bytes, header: Any, size_of_all: int) -> None:
    """Refuse compressed pixels that say another size than their header, before they are decoded."""
    from PIL import Image, UnidentifiedImageError

    syntax, rows, columns = header.file_meta.TransferSyntaxUID, header.Rows, header.Columns
    if syntax == _RLE:
        if len(frame) > 2 * size_of_all + 64:
            raise ValueError(f"Pixel Data: {len(frame):,} packed bytes for {size_of_all:,}")
        _check_runs(frame, size_of_all)
    if frame.startswith(_JP2):
        _check_boxes(frame)
    if syntax not in _PILLOW_READS:
        return
    try:
        with Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            size = image.size
    except UnidentifiedImageError:
        return  # the decoder says better what is wrong
    if size != (columns, rows):
        raise ValueError(
            f"Rows, Columns: {columns} × {rows}, but its pixels are an image of {size[0]} × {size[1]}"
        )


def _check_boxes(frame: bytes) -> None:
    """Refuse boxes without a length around a JPEG 2000 stream: pydicom would walk on the spot for ever."""
    place = 12
    while place < len(frame) and frame[place + 4 : place + 8] != b"jp2c":
        length = int.from_bytes(frame[place : place + 4], "big")
        if length < 8:
            raise ValueError("Pixel Data: a JP2 file that is damaged")
        place += length


def _check_kind(header: Any) -> str:
    """Return the photometric interpretation, if it and the samples agree."""
    kind = str(header.get("PhotometricInterpretation") or "").strip()
    if not kind:
        raise ValueError("PhotometricInterpretation: is missing")
    if kind not in (*GREY, PALETTE, *COLOUR):
        raise ValueError(
            f"PhotometricInterpretation: {kind!r}, allowed: {', '.join((*GREY, PALETTE, *COLOUR))}"
        )
    samples = 3 if kind in COLOUR else 1
    if header.SamplesPerPixel != samples:
        raise ValueError(f"SamplesPerPixel: {header.SamplesPerPixel}, {kind} has {samples}")
    return kind


def _check_square(header: Any) -> None:
    for name in _SPACINGS:
        try:
            source = header if name in header else holder(header, "PixelMeasuresSequence")
            high, wide = (float(value) for value in source.get(name) or ())
        except (TypeError, ValueError):
            continue  # absent, empty, or no pair of numbers
        if min(high, wide) > 0 and max(high, wide) > OBLONG * min(high, wide):
            raise ValueError(
                f"{name}: pixels of {high:g} × {wide:g} (height × width) are not square;"
                " store the film with square ones"
            )


def _depth(header: Any) -> tuple[int, int]:
    """Return the bits that are used of a sample, and how far above the lowest one they begin.

    Where the depth may be wrong, pydicom is told to keep all allocated bits instead of cutting values to it.
    """
    allocated, stored = int(header.BitsAllocated), int(header.get("BitsStored") or 0)
    known = 1 <= stored <= allocated
    raw = not header.file_meta.TransferSyntaxUID.is_compressed
    high = header.get("HighBit")
    shift = int(high) + 1 - stored if raw and known and isinstance(high, int) and high < allocated else 0
    shift = max(shift, 0)
    # Old files hide an overlay in the bits above the stored ones; the depth is then right, and needed.
    plain = raw and not header.get("PixelRepresentation") and not _overlays(header)
    if "PixelData" in header and (not known or plain or shift):
        header.BitsStored, header.HighBit = allocated, allocated - 1
    return stored if known else allocated, shift


def _shifted(pixels: NDArray[Any], header: Any, stored: int, shift: int) -> NDArray[Any]:
    """Move samples down to their lowest bit, unless the bits below are used: then the header is wrong."""
    if header.get("PixelRepresentation"):
        return pixels >> shift
    if _overlays(header) or not (pixels & ((1 << shift) - 1)).any():
        return (pixels >> shift) & ((1 << stored) - 1)
    return pixels


def _overlays(header: Any) -> bool:
    """Tell whether an overlay lies in the unused bits of the samples."""
    for group in range(0x6000, 0x6020, 2):
        position = header.get((group, 0x0102))
        if position is not None and position.value:
            return True
        depth = header.get((group, 0x0100))
        if depth is not None and (depth.value or 1) > 1 and (group, 0x3000) not in header:
            return True
    return False


def _whole(header: Any, name: str) -> int:
    value = header.get(name)
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: is missing or 0" if not value else f"{name}: {value!r} is no whole number")
    return int(value)
