"""Anti-aliased drawing in unit coordinates: x from -0.5 to 0.5 (the image's left to right), y from 0 to 1.

Everything is defined in these coordinates, so that the same anatomy comes out at any number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import cos, deviation, periodic_spline, sin
from g2d_bench.phantom.seeds import Stream, stream

Array = NDArray[np.float32]
T = TypeVar("T", np.float32, np.float64)

EDGE = 0.0045
"""Least width of any edge in image sides: the unsharpness of a screen; over a pixel from 256 px on."""


@dataclass(frozen=True)
class Grid:
    """Pixel centres of a (part of a) square image.

    Attributes:
        size: side of the whole image in pixels.
        rows: pixel rows of this part.
        columns: pixel columns of this part.
    """

    size: int
    rows: slice
    columns: slice

    @classmethod
    def full(cls, size: int) -> Grid:
        """The whole image."""
        return cls(size, slice(0, size), slice(0, size))

    @property
    def x(self) -> Array:
        """Shape [1, W]."""
        return _axis(self.size)[None, self.columns] - np.float32(0.5)

    @property
    def y(self) -> Array:
        """Shape [H, 1]."""
        return _axis(self.size)[self.rows, None]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def px(self) -> float:
        """Side of a pixel."""
        return 1.0 / self.size

    def part(self, left: float, top: float, right: float, bottom: float) -> Grid:
        """The pixels of the whole image that a box in unit coordinates touches; never empty."""
        size = self.size

        def span(low: float, high: float) -> slice:
            start = min(max(int(np.floor(low * size)), 0), size - 1)
            return slice(start, min(max(int(np.ceil(high * size)), start + 1), size))

        return Grid(size, span(top, bottom), span(left + 0.5, right + 0.5))

    def of(self, canvas: NDArray[Any]) -> NDArray[Any]:
        """View this part of a canvas of the whole image."""
        return canvas[self.rows, self.columns]


@lru_cache(maxsize=8)
def _axis(size: int) -> Array:
    axis = ((np.arange(size) + 0.5) / size).astype(np.float32)
    axis.flags.writeable = False
    return axis


NONE, ALL = np.zeros((), np.float32), np.ones((), np.float32)


def limit(value: NDArray[T]) -> NDArray[T]:
    """Clip to 0..1; without ``np.clip``'s detours, which cost more than small arrays do."""
    return value.clip(NONE, ALL)


def cover(distance: Array, soft: float = EDGE) -> Array:
    """Coverage 0..1 from a signed distance (positive inside), as a ramp of width ``soft``."""
    return limit(distance * np.float32(1.0 / soft) + np.float32(0.5))


def smooth(value: Array, low: float, high: float) -> Array:
    """Smoothstep from 0 at ``low`` to 1 at ``high`` (either may be the larger)."""
    t = limit((value - np.float32(low)) * np.float32(1.0 / (high - low)))
    return t * t * (np.float32(3.0) - 2 * t)


def bulge(ratio: Array) -> Array:
    """Thickness of a round body, 0..1, ``ratio`` from its edge (0) to its middle (1)."""
    t = limit(ratio)
    return np.sqrt(t * (np.float32(2.0) - t))


def disc(grid: Grid, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Array:
    """Normalised radius on the grid around an ellipse: 0 in its centre, 1 on its rim."""
    dx, dy = grid.x - np.float32(x), grid.y - np.float32(y)
    c, s = np.float32(cos(angle)), np.float32(sin(angle))
    u = (dx * c + dy * s) * np.float32(1 / rx)
    v = (dy * c - dx * s) * np.float32(1 / ry)
    return np.sqrt(u * u + v * v)


BANK = 1.75
"""Side of the noise banks in image sides; an image reads a window of it."""


@lru_cache(maxsize=16)
def _bank(size: int, kind: str) -> Array:
    """Noise of unit variance on a periodic square; the same function of the unit coordinates at any size."""
    # Cells per image side of each octave and its weight.
    octaves = {
        "cloud": ((5, 1.0), (9, 0.75), (17, 0.5), (34, 0.3)),
        "mottle": ((22, 1.0), (44, 1.0), (84, 0.7)),
        "grain": ((70, 1.0), (120, 0.9)),
    }[kind]
    side = round(size * BANK)
    total = np.zeros((side, side), np.float64)
    for place, (cells, weight) in enumerate(octaves):
        count = round(cells * BANK)
        values = stream("bank", kind, place).normal(size=(count, count))
        axis = (np.arange(side) + 0.5) / side * count - 0.5
        total += weight * periodic_spline(values, axis)
    bank: Array = (total / deviation(total)).astype(np.float32)
    bank.flags.writeable = False
    return bank


def noise(grid: Grid, kind: str, rng: Stream) -> Array:
    """A window of smooth noise (mean about 0, variance about 1) as large as the grid.

    Args:
        grid: where; two grids of one image get unrelated windows.
        kind: "cloud" (coarse), "mottle" (lung texture) or "grain" (fine).
        rng: draws the window.
    """
    bank = _bank(grid.size, kind)
    height, width = grid.shape
    room = (bank.shape[0] - height) / grid.size, (bank.shape[1] - width) / grid.size
    draw = rng.random(3)
    top, left = int(draw[0] * room[0] * grid.size), int(draw[1] * room[1] * grid.size)
    window = bank[top : top + height, left : left + width]
    return window[:, ::-1] if draw[2] < 0.5 else window
