"""Findings that fill or replace lung: pneumonia, atelectasis, edema, masses, fibrosis, COVID-like haze."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom.arithmetic import arctan2, cos, exp, sin, square
from g2d_bench.phantom.labels import COVID
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.raster import Array, Grid, Ink, cover, disc, limit, noise, smooth
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream, stream

Rng = Stream
_HEIGHT = {"apical": 0.12, "upper": 0.27, "mid": 0.52, "lower": 0.78, "basal": 0.9, "": 0.55}


def patch(
    field: LungField, rng: Rng, x: float, y: float, rx: float, ry: float, angle: float, ragged: float
) -> Array:
    """An irregular blob on the lung's grid, 1 inside and fading outside."""
    q = disc(field.grid, x, y, rx, ry, angle)
    q = q + noise(field.grid, "cloud", rng) * np.float32(ragged)
    return smooth(q, 1.0 + 0.9 * ragged + 0.15, 0.75 - 0.9 * ragged) * field.cov


def draw_airspace(canvas: Canvas, number: int, finding: Finding) -> None:
    """Infiltration, pneumonia and consolidation: patches, faint to dense, or a lobe up to its fissure."""
    dense = {"Infiltration": (0.22, 0.45), "Pneumonia": (0.36, 0.72), "Consolidation": (0.6, 0.95)}[
        finding.label
    ]
    density = (dense[0] + (dense[1] - dense[0]) * finding.severity) * (0.72 if finding.subtle else 1.0)
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("airspace", finding.key, place)
        v = _HEIGHT[finding.zone] + rng.uniform(-0.07, 0.07)
        u = rng.uniform(0.3, 0.78)
        extent = (0.055 + 0.085 * finding.severity) * {
            "Infiltration": 1.12,
            "Pneumonia": 1.05,
            "Consolidation": 1.0,
        }[finding.label]
        x, y = field.point(canvas.anatomy, u, v)
        if finding.pattern == "lobar":
            area = patch(field, rng, x, y, extent * 1.7, extent * 1.15, 0.0, 0.12)
            # A fissure or the diaphragm cuts the lobe off sharply on one side.
            edge = y - extent * 0.35 if finding.zone == "lower" else y + extent * 0.4
            tilt = np.float32(field.lung.sign * 0.12)
            line = field.grid.y - np.float32(edge) - tilt * (field.grid.x - np.float32(x))
            area = area * cover(line if finding.zone == "lower" else -line, 0.012)
        else:
            area = patch(field, rng, x, y, extent * 1.15, extent, rng.uniform(-0.8, 0.8), 0.2)
            for _ in range(int(rng.integers(1, 4))):
                bx, by = x + rng.normal(0, extent * 0.8), y + rng.normal(0, extent * 0.7)
                area = np.maximum(area, patch(field, rng, bx, by, extent * 0.6, extent * 0.5, 0.0, 0.25))
        if finding.label == "Consolidation":
            field.fill(area, density)
        else:
            field.fill(area, limit(density * (1 + np.float32(0.16) * noise(field.grid, "mottle", rng))))
        if finding.label != "Infiltration":
            _bronchogram(field, canvas, rng, area, density)
        canvas.mark(number, field.grid, area)


def _bronchogram(field: LungField, canvas: Canvas, rng: Rng, area: Array, density: float) -> None:
    """Air-filled bronchi become visible as dark branches in consolidated lung."""

    ink = Ink(field.grid.size)
    a = canvas.anatomy
    for _ in range(4):
        target = field.point(a, rng.uniform(0.3, 0.8), rng.uniform(0.35, 0.9))
        start = field.point(a, 0.12, 0.5)
        ink.curve(np.linspace(start, target, 30), np.linspace(0.0032, 0.0016, 30), -0.1 * density)
    field.added += ink.draw(field.grid) * area


def draw_atelectasis(canvas: Canvas, number: int, finding: Finding) -> None:
    """Plates of collapsed lung, a collapsed base, or a wedge behind the heart."""
    strength = 0.55 + 0.45 * finding.severity
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("atelectasis", finding.key, place)
        if finding.pattern == "plate":
            area: Array = np.zeros(field.grid.shape, np.float32)
            for _ in range(1 + int(rng.random() < 0.3 + 0.6 * finding.severity) + int(rng.random() < 0.3)):
                x, y = field.point(canvas.anatomy, rng.uniform(0.35, 0.7), rng.uniform(0.66, 0.93))
                half = 0.045 + 0.055 * finding.severity * rng.uniform(0.7, 1.2)
                lean = field.lung.sign * rng.uniform(-0.15, 0.45)
                along = field.grid.x - np.float32(x)
                bow = np.float32(rng.uniform(-0.8, 0.8))
                line = np.abs(field.grid.y - np.float32(y) - np.float32(lean) * along - bow * along * along)
                thick = 0.0045 + 0.006 * finding.severity * rng.uniform(0.6, 1.3)
                ends = smooth(np.abs(along), half * 1.15, half * 0.8)
                band = smooth(line, thick * 1.6, thick * 0.45) * ends * field.cov
                area = np.maximum(area, band)
            field.added += area * np.float32(0.17 * strength * (0.7 if finding.subtle else 1))
        elif finding.pattern == "basal":
            rise = 0.05 + 0.09 * finding.severity
            level = field.to_floor + noise(field.grid, "cloud", rng) * np.float32(0.014)
            area = smooth(level, rise, rise * 0.25) * field.cov
            field.fill(area, 0.72 * strength * (0.7 if finding.subtle else 1))
        else:
            # The collapsed left lower lobe: a triangle behind the heart with a straight lateral edge.
            x, y = field.point(canvas.anatomy, 0.0, 0.52)
            reach = 0.1 + 0.1 * finding.severity
            low = field.lung.floor(np.array(reach))
            slope = reach / max(float(low) - y, 0.05)
            inside = np.float32(slope) * (field.grid.y - np.float32(y)) - (
                field.lateral - np.float32(field.lung.inner)
            )
            area = cover(inside, 0.012) * smooth(field.grid.y, y, y + 0.05) * field.cov
            field.fill(area, 0.85 * strength * (0.7 if finding.subtle else 1))
        canvas.mark(number, field.grid, area)


def draw_round(canvas: Canvas, number: int, finding: Finding) -> None:
    """Mass (over 3 cm) and nodule: round, lobulated or spiculated; one in four nodules is calcified."""
    field = canvas.sides(finding)[0]
    rng = stream("round", finding.key)
    mass = finding.label == "Mass"
    radius = 0.046 + 0.042 * finding.severity if mass else 0.0125 + 0.015 * finding.severity
    u, v = rng.uniform(0.25, 0.8), _HEIGHT[finding.zone] + rng.uniform(-0.1, 0.1)
    x, y = field.point(canvas.anatomy, u, v)
    reach = radius * 2.4
    part = _within(field, x, y, reach)
    inner = _shift(field, part)
    dx, dy = part.x - np.float32(x), part.y - np.float32(y)
    theta = arctan2(dy, dx)
    q = np.sqrt(dx * dx + dy * dy) * np.float32(1 / radius)
    phase = rng.uniform(0, 6, 3)
    rough = 0.06 + 0.05 * rng.random()
    q = q * (
        1
        + np.float32(rough) * (sin(2 * theta + phase[0]) + 0.7 * sin(3 * theta + phase[1])).astype(np.float32)
    )
    if finding.pattern == "spiculated":
        q = q + np.float32(0.1) * np.abs(sin(9 * theta + phase[2])).astype(np.float32)
    soft = max(0.006, radius * (0.16 if mass else 0.25))
    area = cover((1 - q) * np.float32(radius), soft) * field.cov[inner]
    if finding.pattern == "spiculated":
        for angle in rng.uniform(0, 2 * np.pi, 11):
            out = np.array([cos(angle), sin(angle)])
            ends = np.array([x, y]) + np.outer([0.8 * radius, radius * rng.uniform(1.3, 1.9)], out)
            field.ink.curve(ends, 0.0018, 0.05)
    height = (0.35 if mass else 0.2 + 0.08 * finding.severity) * (0.62 if finding.subtle else 1.0)
    if not mass and rng.random() < 0.25:
        height *= 1.7
    ball = np.sqrt(limit(1 - q * q))
    field.added[inner] += area * (np.float32(0.45) + np.float32(0.55) * ball) * np.float32(height)
    field.vessels[inner] *= 1 - np.float32(0.7) * area
    if mass and rng.random() < 0.15:
        # A cavity: a dark centre within a thick wall.
        hole = disc(part, x, y, radius * 0.5, radius * 0.45)
        field.added[inner] -= cover(1 - hole, 0.2) * np.float32(height * 0.7)
    canvas.mark(number, part, area)


def is_calcified(finding: Finding) -> bool:
    """Say whether :func:`draw_round` draws a nodule as a calcified one: its draws, in their order."""
    rng = stream("round", finding.key)
    for low, high in ((0.25, 0.8), (-0.1, 0.1)):
        rng.uniform(low, high)
    rng.uniform(0, 6, 3)
    rng.random()
    if finding.pattern == "spiculated":
        for _ in rng.uniform(0, 2 * np.pi, 11):
            rng.uniform(1.3, 1.9)
    return bool(rng.random() < 0.25)


def draw_edema(canvas: Canvas, number: int, finding: Finding) -> None:
    """Haze around the hila on both sides, thick septa at the base; from interstitial to alveolar."""
    strength = 0.16 + 0.62 * finding.severity
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("edema", finding.key, place)
        x, y = field.point(canvas.anatomy, 0.12, 0.55)
        wing = disc(field.grid, x, y, 0.2 + 0.08 * finding.severity, 0.2 + 0.08 * finding.severity)
        wing = wing + noise(field.grid, "cloud", rng) * np.float32(0.12)
        area = smooth(wing, 1.15, 0.25) * field.cov
        lower = np.float32(0.75) + np.float32(0.35) * field.v
        mottle = 1 + np.float32(0.2) * noise(field.grid, "mottle", rng)
        field.aeration *= np.clip(
            1 - area * lower * mottle * np.float32(strength * (0.7 if finding.subtle else 1)), 0.1, 1
        )
        field.vessels *= 1 - np.float32(0.25) * area
        # Septal (Kerley B) lines: short, level, at the lateral base.
        for _ in range(int(4 + 10 * finding.severity)):
            v = rng.uniform(0.66, 0.97)
            start, stop = (
                field.point(canvas.anatomy, 0.985, v),
                field.point(canvas.anatomy, 0.985 - rng.uniform(0.06, 0.1), v),
            )
            field.ink.curve(np.array([start, (stop[0], start[1])]), 0.0013, 0.07)
        canvas.mark(number, field.grid, area, 0.4)


def draw_covid(canvas: Canvas, number: int, finding: Finding) -> None:
    """Patchy ground-glass opacities of both lungs, at the periphery and rather low."""
    density = (0.2 + 0.48 * finding.severity) * (0.75 if finding.subtle else 1.0)
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("covid", finding.key, place)
        area: Array = np.zeros(field.grid.shape, np.float32)
        for _ in range(2 + int(rng.integers(0, 3)) + int(2.5 * finding.severity)):
            u, v = 0.45 + 0.5 * rng.beta(2.4, 1.0), 0.22 + 0.72 * rng.beta(1.9, 1.2)
            x, y = field.point(canvas.anatomy, u, v)
            extent = rng.uniform(0.035, 0.06) * (1 + 0.7 * finding.severity)
            area = np.maximum(area, patch(field, rng, x, y, extent * 0.8, extent * 1.2, 0.0, 0.22))
        mottle = 1 + np.float32(0.2) * noise(field.grid, "mottle", rng)
        field.fill(area, np.clip(np.float32(density) * mottle, 0, 0.95))
        canvas.mark(number, field.grid, area)


def draw_fibrosis(canvas: Canvas, number: int, finding: Finding) -> None:
    """A net of coarse lines, at the base and periphery or in the apices."""
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("fibrosis", finding.key, place)
        edge = smooth(field.u, 0.25, 0.85)
        level = smooth(field.v, 0.5, 0.85) if finding.zone == "lower" else smooth(field.v, 0.42, 0.18)
        wide = np.clip(
            noise(field.grid, "cloud", rng) * np.float32(0.12)
            + (0.3 + 0.7 * edge) * level * (0.75 + 0.5 * finding.severity),
            0,
            1,
        )
        area = smooth(wide, 0.15, 0.6) * field.cov
        # Lines where the noise crosses zero make closed cells, as in honeycombing.
        cells = noise(field.grid, "mottle", rng)
        net = exp(-square(cells * np.float32(1 / 0.42))) - np.float32(0.4)
        net += noise(field.grid, "grain", rng) * np.float32(0.22)
        strength = (0.09 + 0.08 * finding.severity) * (0.75 if finding.subtle else 1.0)
        field.added += area * net * np.float32(strength)
        field.aeration *= 1 - area * np.float32(0.16 + 0.16 * finding.severity)
        canvas.mark(number, field.grid, area)


def draw_hernia(canvas: Canvas, number: int, finding: Finding) -> None:
    """Hiatal hernia: a round shadow behind the heart, often with an air-fluid level."""
    a = canvas.anatomy
    rng = stream("hernia", finding.key)
    radius = 0.05 + 0.055 * finding.severity
    x = a.middle + rng.uniform(0.005, 0.05)
    y = a.lungs["left"].dome - radius * 0.45 + 0.01
    part = canvas.grid.part(x - radius * 1.6, y - radius * 1.4, x + radius * 1.6, y + radius * 1.4)
    q = disc(part, x, y, radius * 1.2, radius)
    area = cover((1 - q) * np.float32(radius), 0.007)
    part.of(canvas.attenuation)[...] += (
        area * np.float32(0.18) * (np.float32(0.5) + np.float32(0.5) * np.sqrt(limit(1 - q * q)))
    )
    wall = exp(-square((q - 0.97) * np.float32(radius / 0.005)))
    part.of(canvas.attenuation)[...] += wall * np.float32(0.07)
    if rng.random() < 0.75:
        level = y + radius * rng.uniform(-0.3, 0.25)
        gas = cover((0.86 - q) * np.float32(radius), 0.008) * cover(np.float32(level) - part.y, 0.006)
        part.of(canvas.attenuation)[...] -= gas * np.float32(0.3)
    canvas.mark(number, part, area)


def _within(field: LungField, x: float, y: float, reach: float) -> Grid:
    """The pixels around a point that belong to the lung's grid."""
    part = field.grid.part(x - reach, y - reach, x + reach, y + reach)

    def clip(inner: slice, outer: slice) -> slice:
        start = min(max(inner.start, outer.start), outer.stop - 1)
        return slice(start, max(min(inner.stop, outer.stop), start + 1))

    return Grid(part.size, clip(part.rows, field.grid.rows), clip(part.columns, field.grid.columns))


def _shift(field: LungField, part: Grid) -> tuple[slice, slice]:
    """Where a part lies in the arrays of its lung."""
    top, left = field.grid.rows.start, field.grid.columns.start
    return (
        slice(part.rows.start - top, part.rows.stop - top),
        slice(part.columns.start - left, part.columns.stop - left),
    )


PAINTERS: dict[str, Callable[[Canvas, int, Finding], None]] = {
    "Infiltration": draw_airspace,
    "Pneumonia": draw_airspace,
    "Consolidation": draw_airspace,
    "Atelectasis": draw_atelectasis,
    "Mass": draw_round,
    "Nodule": draw_round,
    "Edema": draw_edema,
    COVID: draw_covid,
    "Fibrosis": draw_fibrosis,
    "Hernia": draw_hernia,
}
"""Label to the function that draws it."""
