"""Findings that replace lung: atelectasis, masses, fibrosis, hernia; and the table of all opacities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom.arithmetic import arctan2, cos, exp, sin, square
from g2d_bench.phantom.render import airspace, lesion
from g2d_bench.phantom.render.airspace import HEIGHT
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.raster import Array, cover, disc, limit, noise, smooth
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream, stream


def draw_atelectasis(canvas: Canvas, number: int, finding: Finding) -> None:
    """Plates of collapsed lung, a collapsed base, a wedge behind the heart, or a collapsed upper lobe."""
    strength = (0.55 + 0.45 * finding.severity) * (0.7 if finding.subtle else 1.0)
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("atelectasis", finding.key, place)
        if finding.pattern == "plate":
            area = _plates(canvas, field, rng, finding.severity)
            field.added += area * np.float32(0.17 * strength)
        elif finding.pattern == "basal":
            rise = 0.05 + 0.1 * finding.severity
            rough = noise(field.grid, "cloud", rng) * np.float32(0.02)
            area = smooth(field.to_floor + rough, rise * 1.25, rise * 0.2) * field.cov
            opaque = area * lesion.textured(field, rng, 0.5) * np.float32(0.8 * strength)
            lesion.fill(field, opaque, 1.0)
            lesion.merge(canvas, field, opaque, heart=False, floor=True)
        elif finding.pattern == "upper":
            # The fissure is drawn up and in; what is left of the lobe lies against the mediastinum.
            low = 0.48 - 0.2 * finding.severity
            y = field.lung.place(0.5, low)[1]
            along = field.lateral - np.float32(field.lung.inner)
            line = np.float32(y) - field.grid.y - np.float32(0.9) * along * along
            area = cover(line, 0.012) * smooth(field.u, 1.15, 0.7 - 0.3 * finding.severity) * field.cov
            opaque = area * np.float32(0.9 * strength)
            lesion.fill(field, opaque, 1.0)
            lesion.merge(canvas, field, opaque, heart=True, floor=False)
        else:
            # The collapsed left lower lobe: a triangle behind the heart with a straight lateral edge.
            y = field.lung.place(0.0, rng.uniform(0.46, 0.56))[1]
            reach = 0.1 + 0.1 * finding.severity
            low = float(field.lung.floor(np.array(reach)))
            slope = reach / max(low - y, 0.05)
            edge = np.float32(slope) * (field.grid.y - np.float32(y)) - (
                field.lateral - np.float32(field.lung.inner)
            )
            area = cover(edge, 0.014) * smooth(field.grid.y, y, y + 0.05) * field.cov
            opaque = area * np.float32(0.85 * strength)
            lesion.fill(field, opaque, 1.0)
            lesion.merge(canvas, field, opaque, heart=False, floor=True)
        canvas.mark(number, field.grid, np.where(field.cov > 0.5, area, np.float32(0)))


def _plates(canvas: Canvas, field: LungField, rng: Stream, severity: float) -> Array:
    """Bands of collapsed lung, level or leaning, thin to thick."""
    area: Array = np.zeros(field.grid.shape, np.float32)
    for _ in range(1 + int(rng.random() < 0.3 + 0.6 * severity) + int(rng.random() < 0.3)):
        x, y = field.point(canvas.anatomy, rng.uniform(0.25, 0.75), rng.uniform(0.6, 0.94))
        half = 0.04 + 0.06 * severity * rng.uniform(0.6, 1.3)
        lean = field.lung.sign * rng.uniform(-0.25, 0.6)
        along = field.grid.x - np.float32(x)
        bow = np.float32(rng.uniform(-0.8, 0.8))
        line = np.abs(field.grid.y - np.float32(y) - np.float32(lean) * along - bow * along * along)
        thick = 0.0035 + 0.008 * severity * rng.uniform(0.5, 1.4)
        ends = smooth(np.abs(along), half * 1.25, half * 0.6)
        area = np.maximum(area, smooth(line, thick * 1.8, thick * 0.4) * ends * field.cov)
    return area


def draw_round(canvas: Canvas, number: int, finding: Finding) -> None:
    """Mass (over 3 cm) and nodule: round, lobulated or spiculated; one in four nodules is calcified."""
    field = canvas.sides(finding)[0]
    rng = stream("round", finding.key)
    mass = finding.label == "Mass"
    radius = 0.046 + 0.042 * finding.severity if mass else 0.0125 + 0.015 * finding.severity
    u, v = rng.uniform(0.25, 0.8), HEIGHT[finding.zone] + rng.uniform(-0.1, 0.1)
    x, y = field.point(canvas.anatomy, u, v)
    reach = radius * 2.4
    part = lesion.within(field, x, y, reach)
    inner = lesion.inside(field, part)
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
    # Heart and spine hide most of what lies behind them.
    seen = area * (1 - np.float32(0.5) * part.of(canvas.shadow))
    field.added[inner] += seen * (np.float32(0.45) + np.float32(0.55) * ball) * np.float32(height)
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
        # Closed cells, as in honeycombing.
        net = np.float32(1.2) * lesion.net(canvas, field, rng)
        strength = (0.09 + 0.08 * finding.severity) * (0.75 if finding.subtle else 1.0)
        field.added += area * net * np.float32(strength)
        field.aeration *= 1 - area * np.float32(0.16 + 0.16 * finding.severity)
        canvas.mark(number, field.grid, np.where(field.cov > 0.5, area, np.float32(0)))


def draw_hernia(canvas: Canvas, number: int, finding: Finding) -> None:
    """Hiatal hernia: a round shadow behind the heart, often with an air-fluid level."""
    a = canvas.anatomy
    rng = stream("hernia", finding.key)
    radius = 0.05 + 0.055 * finding.severity
    x = a.middle + rng.uniform(0.005, 0.05)
    y = a.lungs["left"].dome - radius * 0.45 + 0.01
    part = canvas.grid.part(x - radius * 1.6, y - radius * 1.4, x + radius * 1.6, y + radius * 1.4)
    q = disc(part, x, y, radius * 1.2, radius)
    area = cover((1 - q) * np.float32(radius), 0.012)
    part.of(canvas.attenuation)[...] += (
        area * np.float32(0.16) * (np.float32(0.35) + np.float32(0.65) * np.sqrt(limit(1 - q * q)))
    )
    wall = exp(-square((q - 0.95) * np.float32(radius / 0.008)))
    part.of(canvas.attenuation)[...] += wall * np.float32(0.025)
    if rng.random() < 0.75:
        level = y + radius * rng.uniform(-0.3, 0.25)
        gas = cover((0.86 - q) * np.float32(radius), 0.014) * cover(np.float32(level) - part.y, 0.006)
        part.of(canvas.attenuation)[...] -= gas * np.float32(0.2)
    canvas.mark(number, part, area)


PAINTERS: dict[str, Callable[[Canvas, int, Finding], None]] = {
    **airspace.PAINTERS,
    "Atelectasis": draw_atelectasis,
    "Mass": draw_round,
    "Nodule": draw_round,
    "Fibrosis": draw_fibrosis,
    "Hernia": draw_hernia,
}
"""Label to the function that draws it."""
