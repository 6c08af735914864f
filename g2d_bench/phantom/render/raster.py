"""Anti-aliased drawing in unit coordinates: x from -0.5 to 0.5 (the image's left to right), y from 0 to 1.

Everything is defined in these coordinates, so that the same anatomy comes out at any number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import (
    cos,
    cube,
    deviation,
    even,
    exp,
    hypot,
    interpolate,
    periodic_spline,
    sin,
    square,
)
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


def limit(value: NDArray[T]) -> NDArray[T]:
    """Clip to 0..1; quicker than ``np.clip`` on the small arrays here."""
    clipped: NDArray[T] = np.maximum(value, np.float32(0))
    return np.minimum(clipped, np.float32(1), out=clipped)


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


CLASSES = ((0, 2), (2, 3), (3, 4), (4, 6), (6, 9), (9, 14), (14, 22), (22, 40), (40, 100), (100, 400))
"""Dots are drawn in classes of like reach in pixels, so that narrow ones do not pay for wide ones."""
BATCH = 16384
"""Pixels that dots touch, drawn at a time: they stay in the cache."""


def splat(grid: Grid, x: Array, y: Array, sigma: Array, weight: Array) -> Array:
    """Add up round Gaussian dots.

    Args:
        grid: where to draw, the whole image or a part of it.
        x: centres, shape [N].
        y: centres, shape [N].
        sigma: standard deviation of each dot in image sides, shape [N].
        weight: height of each dot, shape [N].

    Returns:
        Shape of the grid. Dots thinner than a pixel keep their volume.
    """
    height, width = grid.shape
    size = np.float32(grid.size)
    wide = effective(sigma, grid.size)
    weight = weight * square(sigma * size / wide)
    px = (x + np.float32(0.5)) * size - np.float32(0.5 + grid.columns.start)
    py = y * size - np.float32(0.5 + grid.rows.start)
    reach = np.ceil(np.float32(2.5) * wide)
    near = (px > -reach) & (px < width + reach - 1) & (py > -reach) & (py < height + reach - 1)
    groups = []
    for low, high in CLASSES:
        chosen = np.flatnonzero(near & (reach > low) & (reach <= high))
        if chosen.size:
            groups.append((high, chosen))
    cx, cy = np.rint(px), np.rint(py)
    scale = np.float32(-0.5) / (wide * wide)
    # Of each dot, the distances from its middle across and down, of all classes in one row.
    away = [
        square(np.arange(-high, high + 1, dtype=np.float32) + offset[chosen, None]) * scale[chosen, None]
        for high, chosen in groups
        for offset in (cx - px, cy - py)
    ]
    bells = iter(np.split(exp(np.concatenate([a.ravel() for a in away])), _ends(away)) if away else ())
    total: Array = np.zeros((height, width), np.float32)
    for high, chosen in groups:
        gx = next(bells).reshape(len(chosen), -1)
        gy = next(bells).reshape(gx.shape) * weight[chosen, None]
        # The box around all dots, which may reach over the edges.
        rows, columns = cy[chosen].astype(np.int64), cx[chosen].astype(np.int64)
        top, left = int(rows.min()) - high, int(columns.min()) - high
        down, across = int(rows.max()) + high + 1 - top, int(columns.max()) + high + 1 - left
        base = (rows - top) * across + (columns - left)
        span = np.arange(-high, high + 1)
        offsets = (span[:, None] * across + span).ravel()
        sums = np.zeros(down * across)
        step = max(1, BATCH // offsets.size)
        for start in range(0, len(base), step):
            part = slice(start, start + step)
            values = gy[part, :, None] * gx[part, None, :]
            # One after the other: the order of a sum decides on its last bit.
            np.add.at(sums, (base[part, None] + offsets).ravel(), values.ravel().astype(np.float64))
        above, before = max(0, -top), max(0, -left)
        seen = sums.reshape(down, across)[above : height - top, before : width - left]
        total[top + above : top + down, left + before : left + across] += seen
    return total


def _ends(arrays: list[Array]) -> NDArray[np.intp]:
    """Where each but the last of several arrays ends once they are laid end to end."""
    return np.cumsum([array.size for array in arrays])[:-1]


def effective(sigma: NDArray[np.floating] | float, size: int) -> Array:
    """Standard deviation in pixels of a dot once it is seen through square pixels."""
    wide: Array = np.sqrt(square(np.asarray(sigma, np.float32) * np.float32(size)) + np.float32(0.2))
    return wide


@dataclass
class Ink:
    """Collects curves of given width and density, to be drawn in one go.

    Attributes:
        size: side of the image in pixels; curves are sampled finely enough for it.
    """

    size: int

    def __post_init__(self) -> None:
        self._dots: list[tuple[Array, Array, Array, Array]] = []

    def curve(self, points: NDArray[np.floating], sigma: float | Array, height: float | Array) -> None:
        """Add a polyline.

        Args:
            points: shape [N, 2], x and y.
            sigma: half width (standard deviation) in image sides, one number or one per point.
            height: attenuation in the middle of the line, one number or one per point.
        """
        points = np.asarray(points, np.float32)
        steps = hypot(*np.diff(points, axis=0).T)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        # Gaussians 1.7 standard deviations apart add up to a line that is even to a percent.
        spacing = 1.7 * float(effective(float(np.min(sigma)), self.size)) / self.size
        count = max(2, int(np.ceil(length[-1] / spacing)) + 1)
        at = even(0.0, float(length[-1]), count)
        rows = np.empty((4, len(length)))
        rows[:2], rows[2], rows[3] = points.T, sigma, height
        x, y, sigmas, heights = interpolate(at, length, rows)
        # Dots at distance d add up to a line of height sqrt(2 pi) sigma / d.
        step = max(length[-1] / (count - 1), 1e-6)
        weights = heights * step / (np.sqrt(2 * np.pi) * sigmas)
        self.dots(x, y, sigmas, weights)

    def dots(
        self,
        x: NDArray[np.floating],
        y: NDArray[np.floating],
        sigma: NDArray[np.floating],
        weight: NDArray[np.floating],
    ) -> None:
        """Add round dots; see :func:`splat`."""
        parts = (np.asarray(part, np.float32).ravel() for part in np.broadcast_arrays(x, y, sigma, weight))
        a, b, c, d = parts
        self._dots.append((a, b, c, d))

    def draw(self, grid: Grid) -> Array:
        """Draw everything collected, shape of the grid."""
        if not self._dots:
            return np.zeros(grid.shape, np.float32)
        x, y, sigma, weight = (np.concatenate(parts) for parts in zip(*self._dots, strict=True))
        return splat(grid, x, y, sigma, weight)


def spline(points: list[tuple[float, float]], count: int = 40) -> NDArray[np.float64]:
    """A smooth curve (Catmull-Rom) through a few points, shape [count, 2]."""
    p = np.asarray(points, np.float64)
    padded = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = even(0, len(p) - 1, count)
    k = np.minimum(t.astype(int), len(p) - 2)
    f = (t - k)[:, None]
    a, b, c, d = padded[k], padded[k + 1], padded[k + 2], padded[k + 3]
    curve: NDArray[np.float64] = 0.5 * (
        2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * square(f) + (3 * b - 3 * c + d - a) * cube(f)
    )
    return curve


def ribbons(grid: Grid, x: Array, yc: Array, half: Array, weight: Array, rim: Array) -> Array:
    """Add up bands that run across columns: bones seen as tubes, with a denser rim.

    Args:
        grid: the whole image.
        x: pixel columns in unit coordinates, shape [C].
        yc: height of the middle line, shape [K, C].
        half: half width measured across the band, shape [K, C].
        weight: attenuation, shape [K, C]; 0 where the band does not exist.
        rim: how much denser the cortex of each band is, shape [K].

    Returns:
        Shape [size, size].
    """
    size = grid.size
    slope = np.gradient(yc, axis=1) * size
    live = weight > 0
    columns = np.broadcast_to(np.rint((x + np.float32(0.5)) * size - np.float32(0.5)), yc.shape)[live]
    stretch = np.sqrt(1 + square(slope[live]))
    centre, thick, dense = yc[live] * size - np.float32(0.5), half[live], weight[live]
    cortex = np.broadcast_to(rim[:, None], yc.shape)[live]
    # Beyond this the band is off the image or too steep to be a function of x.
    reach = np.minimum(np.ceil(thick * stretch * size) + 2, 60.0 * size / 256)
    inside = (columns >= 0) & (columns < size) & (centre > -reach) & (centre < size + reach - 1)
    total = np.zeros((size, size), np.float32)
    for low, high in CLASSES:
        chosen = inside & (reach > low) & (reach <= high)
        if not chosen.any():
            continue
        steps = np.arange(-high, high + 1)
        first = np.rint(centre[chosen])
        scale = np.float32(1 / size) / stretch[chosen]
        distance = np.abs((steps.astype(np.float32) + (first - centre[chosen])[:, None]) * scale[:, None])
        h = thick[chosen][:, None]
        ratio = distance / h
        edge = limit((h - distance) * np.float32(1 / EDGE) + np.float32(0.5))
        tube = np.float32(0.55) + np.float32(0.45) * np.sqrt(limit(1 - ratio * ratio))
        tube += exp(-square((ratio - np.float32(0.8)) * np.float32(1 / 0.22))) * cortex[chosen][:, None]
        value = edge * tube * dense[chosen][:, None]
        pad = 2 * high
        base = (first.astype(np.int64) + pad) * size + columns[chosen].astype(np.int64)
        sums = np.zeros((size + 2 * pad) * size)
        np.add.at(sums, (base[:, None] + steps * size).ravel(), value.ravel().astype(np.float64))
        total += sums.reshape(size + 2 * pad, size)[pad : pad + size]
    return total
