"""What is drawn as marks on a grid: round dots, curves strung of them, and bands across."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import cube, even, exp, hypot, slope, square
from g2d_bench.phantom.render.raster import EDGE, Array, Grid, limit

Values = NDArray[np.floating]
ROOT = np.sqrt(2 * np.pi)
CLASSES = ((0, 2), (2, 3), (3, 4), (4, 6), (6, 9), (9, 14), (14, 22), (22, 40), (40, 100), (100, 400))
"""Dots are drawn in classes of like reach in pixels, so that narrow ones do not pay for wide ones."""
BATCH = 16384
"""Pixels that dots touch, drawn at a time: they stay in the cache."""
_TOPS = np.array([high for _, high in CLASSES], np.float32)


def classes(reach: Array, seen: NDArray[np.bool_]) -> tuple[NDArray[np.intp], list[tuple[int, slice]]]:
    """Sort marks into :data:`CLASSES` of like reach.

    Args:
        reach: in pixels, shape [N]; above 0.
        seen: those that touch the picture, shape [N]; the others are left out.

    Returns:
        The places of the marks, class by class; and for each class that is not empty its largest reach and
        where it lies among these.
    """
    which = _TOPS.searchsorted(reach)
    which[~seen] = len(_TOPS)
    order = which.argsort(kind="stable")
    counts = np.bincount(which, minlength=len(_TOPS))[: len(_TOPS)].tolist()
    found, start = [], 0
    for (_, high), count in zip(CLASSES, counts, strict=True):
        if count:
            found.append((high, slice(start, start + count)))
        start += count
    return order[:start], found


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
    order, groups = classes(reach, near)
    px, py, wide, weight = px[order], py[order], wide[order], weight[order]
    cx, cy = np.rint(px), np.rint(py)
    off = np.stack([cx - px, cy - py])
    rows, columns = cy.astype(np.intp), cx.astype(np.intp)
    scale = np.float32(-0.5) / (wide * wide)
    total: Array = np.zeros((height, width), np.float32)
    starts = [here.start for _, here in groups]
    # The boxes around all dots of a class; they may reach over the edges.
    tops, bottoms, lefts, rights = (
        outer.reduceat(places, starts).tolist() if groups else []
        for places in (rows, columns)
        for outer in (np.minimum, np.maximum)
    )
    for (high, here), top, bottom, left, right in zip(groups, tops, bottoms, lefts, rights, strict=True):
        span, steps = _span(high)
        # Of each dot, one bell across and one down; dots along the last axis, which is the long one.
        bells = steps[:, None, None] + off[:, here]
        bells *= bells
        bells *= scale[here]
        bells = exp(bells)
        gx, gy = bells[:, 0], bells[:, 1]
        gy *= weight[here]
        top, left = top - high, left - high
        down, across = bottom + high + 1 - top, right + high + 1 - left
        base = (rows[here] - top) * across
        base += columns[here] - left
        offsets = span[:, None] * across + span
        sums = np.zeros(down * across)
        step = max(1, BATCH // offsets.size)
        for start in range(0, len(base), step):
            part = slice(start, start + step)
            values = (gy[:, None, part] * gx[None, :, part]).astype(np.float64)
            # One after the other: the order of a sum decides on its last bit.
            np.add.at(sums, (offsets[:, :, None] + base[part]).ravel(), values.ravel())
        above, before = max(0, -top), max(0, -left)
        seen = sums.reshape(down, across)[above : height - top, before : width - left]
        total[top + above : top + down, left + before : left + across] += seen
    return total


@lru_cache(maxsize=64)
def _span(high: int) -> tuple[NDArray[np.intp], Array]:
    """Steps from the middle, shape [2 high + 1]: whole numbers, and as singles."""
    span = np.arange(-high, high + 1)
    return span, span.astype(np.float32)


def effective(sigma: NDArray[np.floating] | float, size: int) -> Array:
    """Standard deviation in pixels of a dot once it is seen through square pixels."""
    wide: Array = np.sqrt(square(np.asarray(sigma, np.float32) * np.float32(size)) + np.float32(0.2))
    return wide


@dataclass
class Ink:
    """Collects dots and curves of given width and density, to be drawn in one go.

    Attributes:
        size: side of the image in pixels; curves are sampled finely enough for it.
    """

    size: int

    def __post_init__(self) -> None:
        self._dots: list[Array] = []
        self._curves: list[tuple[Array, float | Values, float | Values]] = []

    def curve(self, points: Values, sigma: float | Values, height: float | Values) -> None:
        """Add a polyline.

        Args:
            points: shape [N, 2], x and y; N at least 2.
            sigma: half width (standard deviation) in image sides, one number or one per point.
            height: attenuation in the middle of the line, one number or one per point.
        """
        self._curves.append((np.asarray(points, np.float32), sigma, height))

    def dots(
        self,
        x: float | Values,
        y: float | Values,
        sigma: float | Values,
        weight: float | Values,
    ) -> None:
        """Add round dots; see :func:`splat`. Numbers and arrays of one shape go together."""
        parts = (x, y, sigma, weight)
        shape = next((part.shape for part in parts if isinstance(part, np.ndarray)), ())
        dots = np.empty((4, *shape), np.float32)
        dots[0], dots[1], dots[2], dots[3] = parts
        self._dots.append(dots.reshape(4, -1))

    def draw(self, grid: Grid) -> Array:
        """Draw everything collected, shape of the grid."""
        dots = [*self._dots, *([_beads(self._curves, self.size)] if self._curves else [])]
        if not dots:
            return np.zeros(grid.shape, np.float32)
        return splat(grid, *np.concatenate(dots, axis=1))


def _beads(curves: list[tuple[Array, float | Values, float | Values]], size: int) -> Array:
    """Turn polylines into dots at even distances: x, y, standard deviation and weight, shape [4, N].

    All of them in one go: their points lie end to end, so that few steps are taken curve by curve.
    """
    stops = np.cumsum([len(points) for points, _, _ in curves])
    starts = stops - [len(points) for points, _, _ in curves]
    parts = [slice(start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    rows = np.empty((4, int(stops[-1])))
    rows[:2] = np.concatenate([points for points, _, _ in curves]).T
    for part, (_, sigma, height) in zip(parts, curves, strict=True):
        rows[2, part], rows[3, part] = sigma, height
    points = rows[:2].astype(np.float32)
    steps = hypot(*(points[:, 1:] - points[:, :-1]))
    length = np.zeros(rows.shape[1])
    for part in parts:
        between = slice(part.start, part.stop - 1)
        steps[between].cumsum(out=length[part.start + 1 : part.stop], dtype=np.float32)
    whole = length[stops - 1]
    # Gaussians 1.7 standard deviations apart add up to a line that is even to a percent.
    spacing = 1.7 * effective(np.minimum.reduceat(rows[2], starts), size).astype(np.float64) / size
    counts = np.ceil(whole / spacing).clip(1).astype(np.intp) + 1
    firsts = np.cumsum(counts) - counts
    step = whole / (counts - 1)
    at = np.arange(int(counts.sum())) - np.repeat(firsts, counts)
    at = at * np.repeat(step, counts)
    at[firsts + counts - 1] = whole
    low = np.empty(len(at), np.intp)
    for part, first, count in zip(parts, firsts.tolist(), counts.tolist(), strict=True):
        here = slice(first, first + count)
        low[here] = length[part.start + 1 : part.stop - 1].searchsorted(at[here], side="right")
        low[here] += part.start
    rise = (rows[:, 1:] - rows[:, :-1]) / (length[1:] - length[:-1]).clip(1e-300)
    dots = rise[:, low] * (at - length[low]) + rows[:, low]
    beyond = np.flatnonzero(at >= np.repeat(whole, counts))
    dots[:, beyond] = rows[:, np.repeat(stops - 1, counts)[beyond]]
    # Dots at distance d add up to a line of height sqrt(2 pi) sigma / d.
    dots[3] *= np.repeat(step.clip(1e-6), counts)
    dots[3] /= ROOT * dots[2]
    beads: Array = dots.astype(np.float32)
    return beads


def spline(points: list[tuple[float, float]], count: int = 40) -> NDArray[np.float64]:
    """A smooth curve (Catmull-Rom) through a few points, shape [count, 2]."""
    columns = []
    for p in zip(*points, strict=True):
        padded = [2 * p[0] - p[1], *p, 2 * p[-1] - p[-2]]
        # Of each piece, the factors of the powers of the way along it; for so few points without arrays.
        columns.append(
            [
                (2 * b, c - a, 2 * a - 5 * b + 4 * c - d, 3 * b - 3 * c + d - a)
                for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True)
            ]
        )
    piece, powers = _pieces(len(points), count)
    factors = np.array(columns).T[:, piece]
    factors[1:] *= powers
    curve: NDArray[np.float64] = 0.5 * (factors[0] + factors[1] + factors[2] + factors[3])
    return curve


@lru_cache(maxsize=64)
def _pieces(points: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The piece that each sample lies on, shape [count], and powers of its way along it, [3, count, 1]."""
    t = even(0, points - 1, count)
    piece = np.minimum(t.astype(np.intp), points - 2)
    f = (t - piece)[:, None]
    return piece, np.stack([f, square(f), cube(f)])


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
    steepness = slope(yc) * size
    live = weight > 0
    columns = np.broadcast_to(np.rint((x + np.float32(0.5)) * size - np.float32(0.5)), yc.shape)[live]
    stretch = np.sqrt(1 + square(steepness[live]))
    centre, thick, dense = yc[live] * size - np.float32(0.5), half[live], weight[live]
    cortex = np.broadcast_to(rim[:, None], yc.shape)[live]
    # Beyond this the band is off the image or too steep to be a function of x.
    reach = np.minimum(np.ceil(thick * stretch * size) + 2, 60.0 * size / 256)
    inside = (columns >= 0) & (columns < size) & (centre > -reach) & (centre < size + reach - 1)
    order, groups = classes(reach, inside)
    centre, thick, dense, cortex = centre[order], thick[order], dense[order], cortex[order]
    first, scale = np.rint(centre), np.float32(1 / size) / stretch[order]
    at = first.astype(np.intp) * size + columns[order].astype(np.intp)
    total = np.zeros((size, size), np.float32)
    for high, here in groups:
        span, steps = _span(high)
        distance = np.abs((steps[:, None] + (first - centre)[here]) * scale[here])
        h = thick[here]
        ratio = distance / h
        edge = limit((h - distance) * np.float32(1 / EDGE) + np.float32(0.5))
        tube = np.float32(0.55) + np.float32(0.45) * np.sqrt(limit(1 - ratio * ratio))
        tube += exp(-square((ratio - np.float32(0.8)) * np.float32(1 / 0.22))) * cortex[here]
        value = edge * tube * dense[here]
        pad = 2 * high
        sums = np.zeros((size + 2 * pad) * size)
        np.add.at(sums, ((span[:, None] + pad) * size + at[here]).ravel(), value.ravel().astype(np.float64))
        total += sums.reshape(size + 2 * pad, size)[pad : pad + size]
    return total
