"""Radiographs to grey values, and the one geometry in which everything downstream sees them.

Imports of pydicom, Pillow and OpenCV stand inside the functions: the command line must start without them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

DECODE_VERSION = 1
"""Raised when :func:`read_image` gives other values for the same file; part of every pixel cache key."""
GEOMETRY_VERSION = 1
"""Raised when :class:`Letterbox` places pixels elsewhere; part of every pixel and mask cache key."""

_DICOM_SUFFIXES = (".dcm", ".dicom")
_OVERLAY_BIT = (0x6000, 0x0102)
_HEADER_TAGS = ["PatientID", "PatientSex", "PatientAge", "ViewPosition", "Rows", "Columns"]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode a radiograph (DICOM, PNG, JPEG, ...) to grey values.

    DICOM: modality rescale, then the first window (or VOI table) maps to 0..255; without one, 8-bit values
    stay as they are and deeper ones are stretched from their minimum to their maximum. MONOCHROME1 is
    inverted, so that bone is bright. Other formats: colour becomes luma, transparency is dropped, more than
    8 bits are stretched like in DICOM. The stored bit depth of a header is not believed, only the values.

    Args:
        path: the file; its content, not its suffix, says whether it is DICOM.

    Returns:
        Shape [H, W] at native size, 0 black, 255 white.

    Raises:
        InputError: the file is missing, truncated, has several frames, or is no image.
    """
    # One read of the whole file: the parsers' many small ones cost more, the more so on a network disk.
    data = _read(path)
    if _is_dicom(data, path):
        return _read_dicom(data, path)
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as image:
            return _grey(image)
    # Image parsers fail on broken files with whatever exception comes; all of them mean the same here.
    except Exception as error:
        raise InputError(f"not a readable image: {error}", file=path) from error


def read_mask_image(path: Path) -> NDArray[np.bool_]:
    """Decode a mask file: every value above half of the format's range is inside.

    Returns:
        Shape [H, W].

    Raises:
        InputError: the file is missing, truncated or no image.
    """
    return read_image(path) > 127


def image_size(data: bytes, path: Path) -> tuple[int, int]:
    """Return (H, W) of an encoded image without decoding its pixels.

    Args:
        data: the content of the file.
        path: its name, for the error.

    Raises:
        InputError: no readable header.
    """
    if _is_dicom(data, path):
        header = _dicom_header(BytesIO(data), path)
        for name in ("Rows", "Columns"):
            if not header.get(name):
                raise InputError("is missing or 0", file=path, field=name)
        return int(header.Rows), int(header.Columns)
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as image:
            return image.height, image.width
    except Exception as error:
        raise InputError(f"not a readable image: {error}", file=path) from error


def read_dicom_header(path: Path) -> dict[str, str]:
    """Read what a DICOM header says of patient and view, without its pixels.

    Returns:
        ``patient`` (PatientID), ``sex``, ``age`` in whole years, ``view``, ``rows``, ``columns``; "" where
        the header is silent.

    Raises:
        InputError: the file is missing, truncated or not DICOM.
    """
    if not _is_dicom(_read(path, 132), path):
        raise InputError("not a DICOM file", file=path)
    header = _dicom_header(path, path)
    return {
        "patient": _text(header, "PatientID"),
        "sex": _text(header, "PatientSex"),
        "age": _years(_text(header, "PatientAge")),
        "view": _text(header, "ViewPosition"),
        "rows": _text(header, "Rows"),
        "columns": _text(header, "Columns"),
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
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error


def _is_dicom(data: bytes, path: Path) -> bool:
    found = data[128:132] == b"DICM"
    if not found and path.suffix.lower() in _DICOM_SUFFIXES:
        raise InputError("not a DICOM file", file=path)
    return found


@cache
def _pydicom() -> Any:
    """Import pydicom without its warnings about headers: what matters of them is an error here."""
    import pydicom

    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def _dicom_header(source: Path | BytesIO, path: Path) -> Any:
    pydicom = _pydicom()
    try:
        return pydicom.dcmread(source, stop_before_pixels=True, specific_tags=list(_HEADER_TAGS))
    except Exception as error:
        raise InputError(f"not a readable DICOM header: {error}", file=path) from error


def _read_dicom(data: bytes, path: Path) -> NDArray[np.uint8]:
    pydicom = _pydicom()
    try:
        header = pydicom.dcmread(BytesIO(data))
        if not header.get("PixelData"):
            raise ValueError("it holds no pixels")
        if "TransferSyntaxUID" not in header.file_meta:
            raise ValueError("its header names no transfer syntax")
        _mend_depth(header)
        photometric = str(header.PhotometricInterpretation)
        pixels: NDArray[Any] = header.pixel_array
        if photometric == "PALETTE COLOR":
            pixels = (pydicom.pixels.apply_color_lut(pixels, header) >> 8).astype(np.uint8)
        if int(header.get("NumberOfFrames") or 1) != 1:
            raise ValueError(f"{header.NumberOfFrames} frames, one expected")
        if pixels.ndim == 3:
            return _luma(pixels)
        grey = _display(pixels, header)
    except Exception as error:
        raise InputError(f"not a readable DICOM image: {error}", file=path) from error
    return np.invert(grey) if photometric == "MONOCHROME1" else grey


def _mend_depth(header: Any) -> None:
    """Let pydicom keep all allocated bits, where it would cut values to a depth that may be wrong."""
    allocated, stored = int(header.BitsAllocated), int(header.get("BitsStored") or 0)
    plain = not header.file_meta.TransferSyntaxUID.is_compressed and not header.PixelRepresentation
    # Old files hide an overlay in the bits above the stored ones; the depth is then right, and needed.
    overlay = _OVERLAY_BIT in header and header[_OVERLAY_BIT].value > 0
    if not 1 <= stored <= allocated or (plain and not overlay):
        header.BitsStored, header.HighBit = allocated, allocated - 1


def _display(pixels: NDArray[Any], header: Any) -> NDArray[np.uint8]:
    """Stored values [H, W] to display values, through a table of all stored values (DICOM PS3.3 C.11)."""
    slope = float(header.get("RescaleSlope") or 1.0)
    intercept = float(header.get("RescaleIntercept") or 0.0)
    window = _window(header)
    has_table = "VOILUTSequence" in header and window is None
    if pixels.dtype == np.uint8 and window is None and not has_table and (slope, intercept) == (1.0, 0.0):
        return pixels
    low, high = int(pixels.min()), int(pixels.max())
    if has_table:
        mapped = _pydicom().pixels.apply_voi_lut(np.arange(low, high + 1), header).astype(np.float64)
    else:
        mapped = np.arange(low, high + 1, dtype=np.float64) * slope + intercept
    if window is not None:
        mapped = _apply_window(mapped, *window)
    else:
        start, stop = float(mapped.min()), float(mapped.max())
        mapped = (mapped - start) * (255.0 / (stop - start) if stop > start else 0.0)
    table = np.clip(np.rint(mapped), 0, 255).astype(np.uint8)
    index = pixels if low == 0 else pixels.astype(np.int64) - low
    return np.take(table, index)


def _window(header: Any) -> tuple[float, float, str] | None:
    """First window of a header as (centre, width, function), or None where there is no usable one."""
    from pydicom.multival import MultiValue

    first = [header.get(name) for name in ("WindowCenter", "WindowWidth")]
    first = [value[0] if isinstance(value, MultiValue) and value else value for value in first]
    if first[0] in (None, "") or first[1] in (None, ""):
        return None
    centre, width = float(first[0]), float(first[1])
    function = str(header.get("VOILUTFunction") or "LINEAR")
    return (centre, width, function) if width >= 1 and np.isfinite([centre, width]).all() else None


def _apply_window(values: NDArray[np.float64], centre: float, width: float, how: str) -> NDArray[np.float64]:
    """Window values to 0..255 (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if how == "SIGMOID":
        return 255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700, 700)))
    if how == "LINEAR_EXACT":
        return ((values - centre) / width + 0.5) * 255.0
    return ((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5) * 255.0


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("L", "1"):
        return np.array(image.convert("L"))
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.array(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        return np.rint((values - low) * (255.0 / (high - low) if high > low else 0.0)).astype(np.uint8)
    # Pillow keeps the hidden colour of transparent pixels on the way to RGB and to luma.
    return np.array(image.convert("RGB").convert("L"))


def _luma(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
        raise ValueError(f"shape {pixels.shape} of {pixels.dtype}, one grey plane expected")
    return np.array(Image.fromarray(pixels).convert("L"))


def _text(header: Any, name: str) -> str:
    value = header.get(name)
    return "" if value is None else str(value).strip()


def _years(age: str) -> str:
    """DICOM age string (``045Y``, ``006M``) to whole years; plain numbers stay, anything else is ""."""
    per_year = {"Y": 1, "M": 12, "W": 52, "D": 365}
    number, unit = (age[:-1], age[-1].upper()) if age[-1:].isalpha() else (age, "Y")
    return str(int(number) // per_year[unit]) if number.isdigit() and unit in per_year else ""
