"""Parts of a DICOM image that are not shown: padding (PS3.3 C.7.5.1.1.2) and display shutters (C.7.6.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PADDING = {
    "f4": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "f8": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def padding(pixels: NDArray[Any], header: Any, stored: int) -> NDArray[np.bool_] | None:
    """Return where an image holds its padding value, or one between it and its range limit.

    Args:
        pixels: stored values [H, W].
        header: pydicom data set.
        stored: bits of a sample that the header calls used.

    Returns:
        Shape [H, W], or None where nothing is padded.

    Raises:
        ValueError: a padding value that is no number.
    """
    names = _PADDING.get(pixels.dtype.str[1:], ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    value, limit = (_number(header, name) for name in names)
    if value is None or not np.isfinite(value):
        return None  # what is no number is never shown anyway
    if pixels.dtype.kind in "iu":
        value = _as_stored(int(value), pixels.dtype, stored)
        limit = None if limit is None else _as_stored(int(limit), pixels.dtype, stored)
    low, high = sorted((value, value if limit is None else limit))
    hidden: NDArray[np.bool_] = (pixels >= low) & (pixels <= high)
    return hidden if hidden.any() else None


def occluded(shape: tuple[int, ...], header: Any) -> NDArray[np.bool_] | None:
    """Return what the display shutters of an image hide: all that lies outside of any of them.

    Args:
        shape: (H, W).
        header: pydicom data set.

    Returns:
        Shape [H, W], or None where there is no shutter.

    Raises:
        ValueError: an unknown shape, a field that is missing, or nothing that is left to be seen.
    """
    shapes = header.get("ShutterShape")
    if not shapes:
        return None
    visible = np.ones(shape[:2], np.bool_)
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    for name in [shapes] if isinstance(shapes, str) else list(shapes):
        if name == "RECTANGULAR":
            left, right = (_edge(header, f"Shutter{side}VerticalEdge") for side in ("Left", "Right"))
            upper, lower = (_edge(header, f"Shutter{side}HorizontalEdge") for side in ("Upper", "Lower"))
            visible &= (rows >= upper) & (rows <= lower) & (columns >= left) & (columns <= right)
        elif name == "CIRCULAR":
            row, column = _points(header, "CenterOfCircularShutter")[0]
            radius = _edge(header, "RadiusOfCircularShutter")
            visible &= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        elif name == "POLYGONAL":
            visible &= _polygon(_points(header, "VerticesOfThePolygonalShutter"), visible.shape)
        else:
            raise ValueError(f"ShutterShape: {name!r}, allowed: RECTANGULAR, CIRCULAR, POLYGONAL")
    if not visible.any():
        raise ValueError("ShutterShape: nothing of the image is left to be seen")
    return None if visible.all() else ~visible


def shutter_level(header: Any) -> np.uint8:
    """Return the grey value of what a shutter hides: black, or what the header says in 16 bits."""
    level = int(_number(header, "ShutterPresentationValue") or 0)
    return np.uint8(min(max(level, 0), 0xFFFF) >> 8)


def _as_stored(value: int, dtype: np.dtype[Any], stored: int) -> int:
    """Read a value, whose field may be signed or not, as the samples are."""
    bits = dtype.itemsize * 8
    if dtype.kind == "u":
        return value + (1 << bits) if value < 0 else value
    for depth in (stored, bits):
        if 1 <= depth <= bits and 1 << (depth - 1) <= value < 1 << depth:
            return value - (1 << depth)
    return value


def _polygon(corners: list[tuple[int, int]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    from PIL import Image, ImageDraw

    if len(corners) < 3:
        raise ValueError("VerticesOfThePolygonalShutter: fewer than three corners")
    drawn = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(drawn).polygon([(column - 1, row - 1) for row, column in corners], fill=1, outline=1)
    return np.array(drawn, np.bool_)


def _points(header: Any, name: str) -> list[tuple[int, int]]:
    """Pairs of (row, column), counted from 1."""
    try:
        values = [int(value) for value in header.get(name) or ()]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: no whole numbers") from None
    if not values or len(values) % 2:
        raise ValueError(f"{name}: {len(values)} numbers, pairs of row and column expected")
    return list(zip(values[::2], values[1::2], strict=True))


def _edge(header: Any, name: str) -> int:
    value = _number(header, name)
    if value is None or not np.isfinite(value):
        raise ValueError(f"{name}: is missing")
    return int(value)


def _number(header: Any, name: str) -> float | None:
    try:
        value = header.get(name)
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: not a number") from None
    return number
