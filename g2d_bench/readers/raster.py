"""PNG, JPEG, TIFF and the other formats that Pillow reads: what of them decides how their pixels are read."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.grey import check_size, luma, to_grey
from g2d_bench.readers.mistaken import mistaken
from g2d_bench.terminal import silenced

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "JPEG2000", "WEBP", "PPM")
"""Pillow's names of what is read; JPEG holds those with a camera's previews (MPO). Others, some of which
start programs (EPS), are not tried."""

_ORIENTATION = 0x0112
_WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _SUBFILE, _SAMPLE_FORMAT = 256, 257, 258, 262, 254, 339
_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = {
    _PNG: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
}


def read_raster(data: bytes, path: Path) -> NDArray[np.uint8]:
    """Decode an image file to grey values; see :func:`g2d_bench.readers.images.read_image`.

    Args:
        data: its content.
        path: its name, for errors.

    Returns:
        Shape [H, W], upright, 0 black, 255 white.

    Raises:
        InputError: damaged, of another format, of several pages, or too large.
    """
    try:
        with _open(data) as image:
            check_size(image.height, image.width, path)
            _check_single(image)
            turn = _orientation(image, data)
            # libtiff says what it thinks of a damaged file on the terminal, past Python.
            with silenced() if image.format == "TIFF" else nullcontext():
                image.load()
            if image.format == "TIFF" and _ORIENTATION not in image.tag_v2:  # type: ignore[attr-defined]
                turn = 1  # Pillow has turned it
            return np.ascontiguousarray(_upright(_grey(image, data), turn))
    except InputError:
        raise
    # Image parsers fail on broken files with whatever exception comes; all of them mean the same here.
    except Exception as error:
        raise _unreadable(data, path, error) from error


def raster_size(data: bytes, path: Path) -> tuple[int, int]:
    """Return (H, W) of an image file, upright, without decoding its pixels.

    Raises:
        InputError: no readable header, or a size beyond what is decoded.
    """
    try:
        with _open(data) as image:
            width, height = image.size
            if image.format == "TIFF":
                tags = image.tag_v2  # type: ignore[attr-defined]
                width, height = int(tags[_WIDTH]), int(tags[_LENGTH])
            check_size(height, width, path)
            return (width, height) if _orientation(image, data) >= 5 else (height, width)
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(data, path, error) from error


@cache
def _pillow() -> Any:
    """Import Pillow without its warnings about metadata and sizes: what matters of them is an error here."""
    from PIL import Image

    warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image


def _open(data: bytes) -> Image.Image:
    opened: Image.Image = _pillow().open(BytesIO(data), formats=FORMATS)
    return opened


def _unreadable(data: bytes, path: Path, error: Exception) -> InputError:
    from PIL import UnidentifiedImageError

    why: object = mistaken(data) or error or type(error).__name__
    if isinstance(error, UnidentifiedImageError) and not mistaken(data):
        known = [name for magic, name in _MAGIC.items() if data.startswith(magic)]
        why = "its content is of no format that is read"
        why = f"a {known[0]} file that is damaged, or of a variant that is not read" if known else why
    return InputError(f"not a readable image: {why}", file=path)


def _check_single(image: Image.Image) -> None:
    """Refuse several pages or frames; reduced copies, masks, and the previews in a JPEG are none."""
    frames = int(getattr(image, "n_frames", 1))
    if frames < 2 or image.format == "MPO":
        return
    if image.format == "TIFF":
        kinds = []
        for page in range(frames):
            image.seek(page)
            kinds.append(int(image.tag_v2.get(_SUBFILE, 0)))  # type: ignore[attr-defined]
        image.seek(0)
        frames = sum(not kind & 5 for kind in kinds)
        if kinds[0] & 5:
            raise ValueError("its first page is a reduced copy or a mask")
        if frames == 1:
            return
    raise ValueError(f"{frames} pages or frames, one expected")


def _orientation(image: Image.Image, data: bytes) -> int:
    """Return how the stored rows and columns lie, as TIFF and EXIF number it; 1 where nothing is said."""
    if image.format == "TIFF":
        value: Any = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    else:
        exif = image.info.get("exif")
        if data.startswith(_PNG):
            # Pillow would decode the pixels first, since the chunk may stand behind them.
            exif = next((chunk for name, chunk in _chunks(data) if name == b"eXIf"), None)
        value = _pillow().Exif()
        try:
            value.load(exif or b"")
            value = value.get(_ORIENTATION, 1)
        except Exception:
            value = 1  # metadata that nobody can read turn nothing
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks of a PNG but its pixels."""
    place, name = len(_PNG), b""
    while place + 8 <= len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, b"" if name == b"IDAT" else data[place + 8 : place + 8 + length]
        place += length + 12


def _upright(grey: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Turn stored rows and columns so that the first row is the top and the first column the left side."""
    if turn >= 5:
        grey = grey.T
    if turn in (3, 4, 7, 8):
        grey = grey[::-1]
    if turn in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    return grey


def _grey(image: Image.Image, data: bytes) -> NDArray[np.uint8]:
    tags = image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]
    depths, formats = (tuple(tags.get(tag, (1,))) for tag in (_BITS, _SAMPLE_FORMAT))
    if image.mode == "1" or (image.mode == "L" and formats[0] != 2):
        return np.array(image.convert("L"))
    if image.mode in ("L", "I", "F") or image.mode.startswith("I;16"):
        values = np.array(image)
        if image.mode == "L":
            values = values.view(np.int8)
        elif image.mode == "I" and tags and depths[0] == 32 and formats[0] == 1:
            values = values.view(np.uint32)
        grey = to_grey(values)
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero; Pillow turns only the modes of 8 bits
            grey = np.where(np.isnan(values), np.uint8(0), np.invert(grey))
        return grey
    if max(depths) > 8 or (data.startswith(_PNG) and data[24] > 8):
        return to_grey(luma(_deep_colour(image, data)))
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    # Pillow keeps the hidden colour of transparent pixels on the way to RGB and to luma.
    return np.array(image.convert("RGB").convert("L"))


def _deep_colour(image: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """Decode 16 bits in several channels to red, green, blue [H, W, 3]; Pillow keeps their upper 8 only."""
    import cv2

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is not None and found.dtype == np.uint16:
        if found.ndim == 2:
            found = np.stack([found] * 3, axis=-1)
        deep = found[..., 2::-1].astype(np.uint16)
        high = np.array(image.convert("RGB")) if image.mode in ("RGB", "RGBA") else None
        if high is not None and high.shape == deep.shape and np.array_equal(high, deep >> 8):
            return deep
    raise ValueError("more than 8 bits in several channels cannot be read from this variant of the format")
