"""What opacities of the lung are made of: clouds, inner texture, nets, air bronchograms; and their borders.

An opacity has an outline (coverage, 0..1, fading over a wide rim) and an inner texture. Its mask is the
outline where it is over :data:`SEEN`, inside the lung: holes of the texture belong to it, as a reader would
draw it.
"""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.arithmetic import gaussian
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.raster import Array, Grid, cover, disc, limit, noise, smooth
from g2d_bench.phantom.render.strokes import Ink
from g2d_bench.phantom.seeds import Stream

SEEN = 0.45
"""Share of an opacity's own full coverage from which on it belongs to its mask."""
STEP_OF_HEART = 0.14
"""Attenuation by which heart and great vessels stand out at their borders."""
STEP_OF_FLOOR = 0.13
"""The same of the organs below the diaphragm."""


def lay(
    field: LungField,
    areas: tuple[Array, ...],
    rng: Stream,
    x: float,
    y: float,
    rx: float,
    ry: float,
    angle: float,
    ragged: float,
    weights: tuple[float, ...] = (1.0,),
) -> None:
    """Lay a cloud over coverages of the lung: 1 in its middle, fading over half its radius, torn.

    Args:
        field: the lung.
        areas: coverages, 0..1, of the field's shape; changed: what neither covers is left.
        rng: draws the border.
        x: middle.
        y: middle.
        rx: half axis, in image sides.
        ry: the other one.
        angle: of the first half axis, in radians.
        ragged: how torn the border is, 0 to 0.4.
        weights: how opaque the cloud is in each of the coverages.
    """
    # Only where the cloud may be: noise hardly ever reaches 2.6 standard deviations.
    part = within(field, x, y, max(rx, ry) * (1.4 + 2.6 * ragged))
    q = disc(part, x, y, rx, ry, angle)
    q += noise(part, "cloud", rng) * np.float32(ragged)
    inner = inside(field, part)
    cloud = smooth(q, 1.4, 0.35) * field.cov[inner]
    for area, weight in zip(areas, weights, strict=True):
        view = area[inner]
        view += cloud * np.float32(weight) * (1 - view)


def patch(
    field: LungField, rng: Stream, x: float, y: float, rx: float, ry: float, angle: float, ragged: float
) -> Array:
    """One cloud, see :func:`lay`."""
    area: Array = np.zeros(field.grid.shape, np.float32)
    lay(field, (area,), rng, x, y, rx, ry, angle, ragged)
    return area


def join(area: Array, other: Array) -> Array:
    """Lay one coverage over another: what neither covers is left."""
    return area + other - area * other


def textured(field: LungField, rng: Stream, uneven: float) -> Array:
    """Inner texture with a mean of about 1 - ``uneven`` / 3: islands of better aerated lung."""
    rough = noise(field.grid, "cloud", rng) + np.float32(0.7) * noise(field.grid, "mottle", rng)
    rough += np.float32(0.55) * noise(field.grid, "grain", rng)
    return 1 - np.float32(uneven) * limit(np.float32(0.33) - np.float32(0.34) * rough)


def net(canvas: Canvas, field: LungField, rng: Stream) -> Array:
    """Thickened septa as a net of closed cells, mean about 0: ridges where smooth noise crosses zero."""
    cells = np.abs(noise(field.grid, "mottle", rng))
    fine = np.abs(noise(field.grid, "grain", rng))
    ridges = limit(1 - cells * np.float32(1.6)) + np.float32(0.5) * limit(1 - fine * np.float32(1.4))
    return (ridges - np.float32(0.42)) * (1 - np.float32(0.75) * field.grid.of(canvas.shadow))


def fill(field: LungField, area: Array, density: float | Array, veil: float = 1.0) -> None:
    """Take air away; ``veil`` is the share of the vessels' contrast lost with it (haze: little of it)."""
    left = area * np.asarray(density, np.float32)
    field.aeration *= 1 - left
    field.vessels *= 1 - np.float32(veil) * left


def merge(canvas: Canvas, field: LungField, opaque: Array, *, heart: bool, floor: bool) -> None:
    """The silhouette sign: opaque lung that touches heart or diaphragm is as dense as they are there.

    Args:
        canvas: with heart, vessels and organs drawn.
        field: the lung.
        opaque: share of the air that the opacity takes, 0..1, shape of the field.
        heart: whether it lies against heart and great vessels (middle lobe, lingula, upper lobe).
        floor: whether it lies against the diaphragm (lower lobe).
    """
    if heart:
        shape = field.grid.of(canvas.shadow)
        near = gaussian(np.ascontiguousarray(shape), 0.016 * field.grid.size, 1, truncate=2.0)
        field.added += opaque * limit(near + near) * (1 - shape) * np.float32(STEP_OF_HEART)
    if floor:
        field.added += opaque * smooth(field.to_floor, 0.055, -0.004) * np.float32(STEP_OF_FLOOR)


def outline(canvas: Canvas, number: int, field: LungField, area: Array, threshold: float = SEEN) -> None:
    """Add an opacity to the mask of its finding: inside the lung, and behind the heart only where dense."""
    hidden = 1 - np.float32(0.35) * field.grid.of(canvas.shadow)
    canvas.mark(number, field.grid, np.where(field.cov > 0.5, area * hidden, np.float32(0)), threshold)


def bronchogram(
    canvas: Canvas, field: LungField, rng: Stream, opaque: Array, centre: tuple[float, float]
) -> None:
    """Bronchi full of air are dark branches in opaque lung, from the hilum to the middle and beyond."""
    ink = Ink(field.grid.size)
    start = np.array(field.point(canvas.anatomy, 0.1, 0.45))
    way = np.array(centre) - start
    side = np.array([-way[1], way[0]])
    for _ in range(4):
        bend, far = rng.normal(0, 0.25), rng.uniform(0.9, 1.5)
        t = np.linspace(0.25, far, 14)[:, None]
        ink.curve(start + t * way + side * bend * t * t, np.linspace(0.0034, 0.002, 14), -0.08)
    field.added += ink.draw(field.grid) * opaque * opaque


def within(field: LungField, x: float, y: float, reach: float) -> Grid:
    """The pixels around a point that belong to the lung's grid; never empty."""
    part = field.grid.part(x - reach, y - reach, x + reach, y + reach)

    def clip(inner: slice, outer: slice) -> slice:
        start = min(max(inner.start, outer.start), outer.stop - 1)
        return slice(start, max(min(inner.stop, outer.stop), start + 1))

    return Grid(part.size, clip(part.rows, field.grid.rows), clip(part.columns, field.grid.columns))


def inside(field: LungField, part: Grid) -> tuple[slice, slice]:
    """Where a part of the image lies in the arrays of its lung."""
    top, left = field.grid.rows.start, field.grid.columns.start
    return (
        slice(part.rows.start - top, part.rows.stop - top),
        slice(part.columns.start - left, part.columns.stop - left),
    )


def lobe(field: LungField, rng: Stream, zone: str) -> Array:
    """Where a lobe lies on the film: sharp at the minor fissure of the right lung, fading elsewhere.

    Args:
        field: the lung.
        rng: draws how the fissure runs.
        zone: "upper" (to the minor fissure), "mid" (middle lobe or lingula, medial), else the lower lobe.
    """
    right = field.lung.sign < 0
    soft = 0.018 if right else 0.13
    fissure = field.lung.place(0.5, rng.uniform(0.46, 0.56))[1]
    tilt, bow = rng.uniform(-0.15, 0.15), rng.uniform(-0.9, 0.9)
    along = field.lateral - np.float32(0.2)
    below = field.grid.y - np.float32(fissure) + np.float32(tilt) * along + np.float32(bow) * along * along
    if zone == "upper":
        return cover(-below, soft)
    if zone == "mid":
        return cover(below, soft) * smooth(field.u, 1.15, 0.5) * smooth(field.v, 1.05, 0.75)
    return smooth(field.v, 0.42, 0.74)
