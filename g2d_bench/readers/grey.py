"""From values of any depth to grey values of eight bits; limits on what is decoded at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError

MAX_FILE = 2**30
"""Bytes of the largest file that is read; an image of the largest size fits, whatever its depth."""
MAX_PIXELS = 100_000_000
"""Pixels of the largest image that is decoded; the largest films have 30 million."""
MAX_DECODED = 4 * MAX_PIXELS
"""Bytes of the largest decoded image."""

_TABLE = 1 << 16
_BLOCK = 1 << 20
# ITU-R BT.601 in parts of 65,536, as Pillow has them; their sum is 65,536, so that grey stays what it is.
_LUMA = (19595, 38470, 7471)

Mapping = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Values to other values, element by element."""


def to_grey(
    pixels: NDArray[Any],
    mapping: Mapping | None = None,
    *,
    stretch: bool = True,
    monotone: bool = True,
    hidden: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Bring values to 0..255, rounded to the nearest.

    Args:
        pixels: any shape, integers or floats.
        mapping: applied to the values first.
        stretch: the least mapped value becomes 0 and the greatest 255 (all 0 where they are equal);
            otherwise mapped values are cut to 0..255.
        monotone: the mapping never turns round, so that its extremes are those of the values.
        hidden: pixels that are not shown: they become 0 and have no part in the stretch.

    Returns:
        The same shape. What is no number becomes 0; infinity has no part in the stretch.

    Raises:
        ValueError: no finite value at all, or a range beyond that of a double.
    """
    with np.errstate(all="ignore"):
        if pixels.dtype.kind == "f":
            return _by_value(pixels, mapping, stretch, hidden)
        shown = pixels if hidden is None else pixels[~hidden]
        if not shown.size:
            return np.zeros(pixels.shape, np.uint8)
        low, high = int(shown.min()), int(shown.max())
        if high - low >= _TABLE:
            return _by_value(pixels, mapping, stretch, hidden)
        values: NDArray[np.float64] = np.arange(low, high + 1, dtype=np.float64)
        mapped = values if mapping is None else mapping(values)
        if hidden is None:
            index = pixels if low == 0 else pixels.astype(np.int64) - low
        else:
            index = pixels.clip(low, high).astype(np.int64) - low
        if not stretch:
            limits = None
        elif monotone:
            limits = (float(mapped.min()), float(mapped.max()))
        else:
            occurs = np.zeros(mapped.shape, np.bool_)
            occurs[shown.astype(np.int64) - low] = True
            limits = (float(mapped[occurs].min()), float(mapped[occurs].max()))
        grey = np.take(_rounded(mapped, limits), index)
    if hidden is not None:
        grey[hidden] = 0
    return grey


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """Red, green and blue [H, W, 3] of any depth to brightness [H, W] of the same (ITU-R BT.601)."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        total = np.full(red.shape, 0x8000, np.uint32)
        for channel, weight in zip((red, green, blue), _LUMA, strict=True):
            total += channel.astype(np.uint32) * np.uint32(weight)
        return (total >> 16).astype(pixels.dtype)
    mixed: NDArray[np.float64] = np.zeros(red.shape)
    for channel, weight in zip((red, green, blue), _LUMA, strict=True):
        mixed += channel.astype(np.float64) * (weight / 65536)
    return mixed


def check_size(rows: int, columns: int, path: Path) -> None:
    """Refuse an image by the size that its header declares, before anything is allocated for it.

    Raises:
        InputError: no pixels, or more than :data:`MAX_PIXELS`.
    """
    if rows < 1 or columns < 1:
        raise InputError(f"not a readable image: {columns} × {rows} pixels", file=path)
    if rows * columns > MAX_PIXELS:
        raise InputError(
            f"not a readable image: {columns:,} × {rows:,} pixels, at most {MAX_PIXELS:,} are decoded",
            file=path,
        )


def _by_value(
    pixels: NDArray[Any], mapping: Mapping | None, stretch: bool, hidden: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Map pixel by pixel, in blocks: a table of all values between the extremes could fill the memory."""
    flat = pixels.reshape(-1)
    skip = None if hidden is None else hidden.reshape(-1)

    def blocks() -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.bool_]]]:
        for start in range(0, flat.size, _BLOCK):
            place = slice(start, start + _BLOCK)
            values = flat[place].astype(np.float64)
            number = ~np.isnan(values)
            if skip is not None:
                number &= ~skip[place]
            yield place, values if mapping is None else mapping(values), number & ~np.isnan(values)

    if skip is not None and skip.all():
        return np.zeros(pixels.shape, np.uint8)
    limits = None
    if stretch:
        low, high = np.inf, -np.inf
        for _, mapped, number in blocks():
            finite = mapped[number & np.isfinite(mapped)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if low > high:
            raise ValueError("no pixel has a finite value")
        limits = (low, high)
    grey = np.zeros(flat.shape, np.uint8)
    for place, mapped, number in blocks():
        grey[place] = np.where(number, _rounded(np.nan_to_num(mapped, nan=0.0), limits), 0)
    return grey.reshape(pixels.shape)


def _rounded(mapped: NDArray[np.float64], limits: tuple[float, float] | None) -> NDArray[np.uint8]:
    if limits is not None:
        start, stop = limits
        if not np.isfinite(stop - start):
            raise ValueError(f"values from {start:g} to {stop:g}")
        mapped = (mapped - start) * (255.0 / (stop - start) if stop > start else 0.0)
    return np.clip(np.rint(mapped), 0, 255).astype(np.uint8)
