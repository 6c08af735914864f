"""Radiographs to grey values, and the one geometry in which everything downstream sees them.

The way from stored bytes to the upright film that is shown is written down in docs/data.md, section "From
stored bytes to the film", field by field; it is taken in :mod:`~g2d_bench.readers.dicom` with
:mod:`~g2d_bench.readers.dicom_values`, in :mod:`~g2d_bench.readers.raster` for all other formats, and ends in
:mod:`~g2d_bench.readers.grey`. A field that changes what is shown is applied, or refused in one line.

Imports of pydicom, Pillow and OpenCV stand inside the functions: the command line must start without them.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.dicom import dicom_size, read_dicom, read_header
from g2d_bench.readers.grey import MAX_FILE
from g2d_bench.readers.mistaken import mistaken
from g2d_bench.readers.raster import raster_size, read_raster
from g2d_bench.readers.raw import is_raw, raw_size, read_raw

DECODE_VERSION = 2
"""Raised when :func:`read_image` gives other values for the same file; part of every pixel cache key."""
MASK_VERSION = 1
"""Raised when :func:`read_mask_image` gives other values for the same file; part of every mask cache key."""
GEOMETRY_VERSION = 1
"""Raised when :class:`Letterbox` places pixels elsewhere; part of every pixel and mask cache key."""

_DICOM_SUFFIXES = (".dcm", ".dicom")
_HEADER_TAGS = (
    *("PatientID", "PatientSex", "PatientAge", "ViewPosition", "Rows", "Columns"),
    *("Manufacturer", "ManufacturerModelName"),
)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode a radiograph (DICOM, PNG, JPEG, TIFF, ...) to grey values, upright.

    DICOM: Modality LUT or rescale, then the first window (or VOI LUT) maps to 0..255; without one, 8-bit
    values stay as they are and deeper ones are stretched from their minimum to their maximum. MONOCHROME1 is
    inverted, so that bone is bright; padding and what a shutter hides are black. Other formats: colour
    becomes luma, transparency is dropped, more than 8 bits are stretched like in DICOM, the orientation of
    EXIF and TIFF is applied. A header that contradicts its values about their depth is not believed.

    Args:
        path: the file; its content, not its suffix, says whether it is DICOM.

    Returns:
        Shape [H, W] at native size, 0 black, 255 white.

    Raises:
        InputError: the file is missing, truncated, too large, has several frames, says something that cannot
            be followed, or is no image.
    """
    # One read of the whole file: the parsers' many small ones cost more, the more so on a network disk.
    data = _read(path)
    if is_raw(path):
        return read_raw(data, path)
    return read_dicom(data, path) if _is_dicom(data, path) else read_raster(data, path)


def read_mask_image(path: Path) -> NDArray[np.bool_]:
    """Decode a mask file: every value above half of the format's range is inside.

    Where no value is, as in masks of 0 and 1, black is outside and the one other value inside.

    Returns:
        Shape [H, W].

    Raises:
        InputError: the file is missing, truncated, no image, or has several greys and none above half.
    """
    grey = read_image(path)
    levels = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
    if levels[-1] > 127:
        return grey > 127
    if len(levels[levels > 0]) > 1:
        raise InputError(
            f"is no mask: {len(levels)} greys from {levels[0]} to {levels[-1]}, none above 127; "
            "want black and white",
            file=path,
        )
    return grey > 0


def image_size(data: bytes, path: Path) -> tuple[int, int]:
    """Return (H, W) of an encoded image, upright, without decoding its pixels.

    Args:
        data: the content of the file.
        path: its name, for the error.

    Raises:
        InputError: no readable header.
    """
    if is_raw(path):
        return raw_size(data, path)
    return dicom_size(data, path) if _is_dicom(data, path) else raster_size(data, path)


def read_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of an image file, upright, without decoding its pixels.

    Raises:
        InputError: the file is missing, too large or has no readable header.
    """
    return image_size(_read(path), path)


def read_dicom_header(path: Path) -> dict[str, str]:
    """Read what a DICOM header says of patient and view, without its pixels.

    Returns:
        ``patient`` (PatientID), ``sex``, ``age`` in whole years, ``view``, ``device``
        (manufacturer and model), ``rows``, ``columns``; "" where
        the header is silent.

    Raises:
        InputError: the file is missing, truncated or not DICOM.
    """
    start = _read(path, 1024)
    if not _is_dicom(start, path):
        raise _no_dicom(start, path)
    header = read_header(path, path, _HEADER_TAGS)
    return {
        "patient": header["PatientID"],
        "sex": header["PatientSex"],
        "age": whole_years(header["PatientAge"]),
        "view": header["ViewPosition"],
        "device": " ".join(f"{header['Manufacturer']} {header['ManufacturerModelName']}".split()),
        "rows": header["Rows"],
        "columns": header["Columns"],
    }


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image of native shape lies in its square: longest side fits, zeros pad both other sides.

    Attributes:
        size: side of the square, pixels.
        native: (H, W) of the image.
        scale: square pixels per native pixel along the longest side.
        left: column of the first content pixel.
        top: row of the first content pixel.
        height: content rows.
        width: content columns.
    """

    size: int
    native: tuple[int, int]
    scale: float
    left: int
    top: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: tuple[int, int], size: int) -> Letterbox:
        """Compute the geometry for a native (H, W) and a side in pixels."""
        rows, columns = shape
        scale = size / max(rows, columns)
        height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
        return cls(size, (rows, columns), scale, (size - width) // 2, (size - height) // 2, height, width)

    def boxes_forward(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map boxes [N, 4] (left, top, width, height) from native pixels to the square."""
        factor, offset = self._affine()
        return np.asarray(boxes, np.float64).reshape(-1, 4) * factor + offset

    def boxes_inverse(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map boxes [N, 4] (left, top, width, height) from the square to native pixels."""
        factor, offset = self._affine()
        return (np.asarray(boxes, np.float64).reshape(-1, 4) - offset) / factor

    def image_forward(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Place an image [H, W] into its square [size, size] by area averaging (linear when enlarging)."""
        square = np.zeros((self.size, self.size), np.uint8)
        self._content(square)[...] = self._resize(image)
        return square

    def mask_forward(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Place a mask [H, W] into the square [size, size].

        A pixel is inside where the mask covers at least half of it. If that makes a mask vanish that has
        pixels, every pixel that it touches is inside: a positive image must not turn into a negative one.
        """
        square = np.zeros((self.size, self.size), np.bool_)
        cover = self._resize(mask.astype(np.float32))
        # The sum of single-precision weights may miss an exact half by a rounding error.
        inside = cover >= 0.5 - 1e-4
        self._content(square)[...] = inside if inside.any() else cover > 0
        return square

    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # The content is a whole number of pixels, so the two axes may differ a little in scale.
        x, y = self.width / self.native[1], self.height / self.native[0]
        return np.array([x, y, x, y]), np.array([self.left, self.top, 0, 0], np.float64)

    def _content(self, square: NDArray[Any]) -> NDArray[Any]:
        return square[self.top : self.top + self.height, self.left : self.left + self.width]

    def _resize(self, array: NDArray[Any]) -> NDArray[Any]:
        import cv2

        if array.shape != self.native:
            raise ValueError(f"array has shape {array.shape}, geometry is for {self.native}")
        if array.shape == (self.height, self.width):
            return array
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        resized: NDArray[Any] = cv2.resize(array, (self.width, self.height), interpolation=how)
        return resized


def letterbox(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Fit an image [H, W] into a square [size, size]; see :class:`Letterbox`."""
    return Letterbox.of((image.shape[0], image.shape[1]), size).image_forward(image)


def _read(path: Path, count: int = -1) -> bytes:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            # Opening a pipe would wait, and a device may never end.
            raise InputError("cannot be read: not a file with an image in it", file=path)
        if state.st_size > MAX_FILE:
            raise InputError(f"cannot be read: {state.st_size:,} bytes, at most {MAX_FILE:,} are", file=path)
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error


def _is_dicom(data: bytes, path: Path) -> bool:
    found = data[128:132] == b"DICM"
    if not found and path.suffix.lower() in _DICOM_SUFFIXES:
        raise _no_dicom(data, path)
    return found


def _no_dicom(data: bytes, path: Path) -> InputError:
    why = mistaken(data)
    return InputError(f"not a DICOM file: {why}" if why else "not a DICOM file", file=path)


def whole_years(age: str) -> str:
    """DICOM age string (``045Y``, ``006M``) to whole years; plain numbers stay, anything else is ""."""
    per_year = {"Y": 1, "M": 12, "W": 52, "D": 365}
    number, unit = (age[:-1], age[-1].upper()) if age[-1:].isalpha() else (age, "Y")
    return str(int(number) // per_year[unit]) if number.isdigit() and unit in per_year else ""
