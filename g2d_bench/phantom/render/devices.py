"""Support devices and foreign objects: tubes, wires, metal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.anatomy import SIGNS
from g2d_bench.phantom.arithmetic import cos, cube, exp, hypot, sin, square
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, Ink, cover, disc, spline
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream, stream

Point = tuple[float, float]
Rng = Stream


def _tube(ink: Ink, points: NDArray[np.float64], half: float, height: float, wall: float = 0.5) -> None:
    """A tube: a faint body and two denser walls."""
    ink.curve(points, half * 0.9, height * (1 - wall))
    normal = np.gradient(points, axis=0)[:, ::-1] * np.array([1, -1])
    normal /= np.maximum(hypot(normal[:, :1], normal[:, 1:]), 1e-9)
    for sign in (-1, 1):
        ink.curve(points + sign * half * normal, 0.0013, height * wall)


class _Frame:
    """Places on this chest: lateral distance from the midline (left positive) and y relative to landmarks."""

    def __init__(self, canvas: Canvas) -> None:
        self.a = canvas.anatomy
        self.apex = self.a.lungs["left"].apex
        self.carina = self.a.carina
        self.dome = self.a.lungs["left"].dome

    def at(self, lateral: float, y: float) -> Point:
        return float(self.a.midline(np.array(y))) + lateral, y


def _airway(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    tip = f.carina - rng.uniform(0.02, 0.09)
    _tube(
        ink,
        spline([f.at(rng.normal(0, 0.01), -0.02), f.at(0.0, f.apex), f.at(-0.002, tip)], 40),
        0.0065,
        0.13,
    )


def _enteric(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    path = [f.at(0.006, -0.02), f.at(0.01, f.carina), f.at(0.012, f.dome - 0.1), f.at(0.04, f.dome + 0.02)]
    ink.curve(
        spline([*path, f.at(0.1 + 0.05 * rng.random(), f.dome + 0.1), f.at(0.14, f.dome + 0.13)], 90),
        0.0028,
        0.2,
    )


def _central(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    start = [f.at(sign * 0.11, -0.02), f.at(sign * 0.085, f.apex + 0.02)]
    ink.curve(
        spline([*start, f.at(-0.03, f.carina - 0.09), f.at(-0.042, f.carina + rng.uniform(0, 0.07))], 60),
        0.0022,
        0.17,
    )


def _picc(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    path = [f.at(sign * 0.47, f.apex + 0.3), f.at(sign * 0.4, f.apex + 0.13), f.at(sign * 0.2, f.apex + 0.06)]
    ink.curve(
        spline([*path, f.at(-0.03, f.carina - 0.08), f.at(-0.042, f.carina + rng.uniform(0.02, 0.09))], 80),
        0.0017,
        0.15,
    )


def _port(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    x, y = f.at(sign * 0.24, f.apex + 0.17 + 0.03 * rng.random())
    ink.dots(*(np.array([v]) for v in (x, y, 0.011, 0.45)))
    angle = np.linspace(0, 2 * np.pi, 40)
    ink.curve(np.stack([x + 0.018 * cos(angle), y + 0.018 * sin(angle)], 1), 0.0022, 0.25)
    path = [(x, y - 0.018), f.at(sign * 0.15, f.apex + 0.04), f.at(sign * 0.06, f.apex + 0.05)]
    ink.curve(spline([*path, f.at(-0.03, f.carina - 0.06), f.at(-0.042, f.carina + 0.05)], 80), 0.0022, 0.16)


def _pacemaker(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    sign = 1.0 if rng.random() < 0.85 else -1.0
    x, y = f.at(sign * 0.29, f.apex + 0.12)
    part = canvas.grid.part(x - 0.08, y - 0.08, x + 0.08, y + 0.08)
    q = disc(part, x, y, 0.052, 0.044, 0.3 * sign)
    part.of(canvas.attenuation)[...] += cover(1 - cube(q), 0.2) * np.float32(0.75)
    hx, hy, long, *_ = canvas.anatomy.heart
    start = [(x - sign * 0.03, y - 0.03), f.at(sign * 0.16, f.apex + 0.045), f.at(-0.03, f.carina - 0.07)]
    ink.curve(
        spline([*start, f.at(-0.045, hy), f.at(hx, hy + 0.07), f.at(hx + 0.55 * long, hy + 0.085)], 110),
        0.0021,
        0.32,
    )
    if rng.random() < 0.7:
        ink.curve(spline([*start, f.at(-0.06, hy - 0.02), f.at(-0.05, hy - 0.06)], 80), 0.0021, 0.3)


def _sternal(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    angle = np.linspace(0.3, 2 * np.pi + 0.1, 30)
    for y in np.linspace(f.carina - 0.1, f.dome - 0.06, int(rng.integers(5, 8))):
        x, cy = f.at(rng.normal(0, 0.004), float(y))
        ink.curve(
            np.stack([x + 0.017 * cos(angle), cy + 0.007 * sin(angle) + 0.002 * cos(3 * angle)], 1),
            0.0014,
            0.4,
        )
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(3, 8))):
            x, cy = f.at(rng.uniform(0.02, 0.11), rng.uniform(f.carina, f.dome - 0.05))
            ink.curve(np.array([[x, cy], [x + 0.006, cy + 0.006]]), 0.0015, 0.4)


def _leads(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    for lateral, y in (
        (-0.27, f.apex + 0.13),
        (0.27, f.apex + 0.13),
        (0.3, f.dome - 0.04),
        (-0.28, f.dome - 0.02),
    )[: int(rng.integers(2, 5))]:
        x, cy = f.at(lateral + rng.normal(0, 0.025), y + rng.normal(0, 0.025))
        ink.dots(*(np.array([v]) for v in (x, cy, 0.0055, 0.5)))
        angle = np.linspace(0, 2 * np.pi, 30)
        ink.curve(np.stack([x + 0.013 * cos(angle), cy + 0.013 * sin(angle)], 1), 0.002, 0.12)
        away = (
            f.at(np.sign(lateral) * 0.55, cy + rng.normal(0, 0.15))
            if rng.random() < 0.6
            else f.at(rng.uniform(-0.3, 0.3), 1.03)
        )
        mid = ((x + away[0]) / 2 + rng.normal(0, 0.05), (cy + away[1]) / 2 + rng.normal(0, 0.05))
        ink.curve(spline([(x, cy), mid, away], 60), 0.0019, 0.16)


def _chest_tube(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    field = canvas.lungs["right" if sign < 0 else "left"]
    a = canvas.anatomy
    enter = field.point(a, 1.0, rng.uniform(0.66, 0.85))
    outside = (enter[0] + field.lung.sign * 0.16, enter[1] + rng.uniform(-0.03, 0.08))
    tip = field.point(a, rng.uniform(0.3, 0.7), rng.uniform(0.06, 0.35))
    bend = field.point(a, rng.uniform(0.75, 0.95), rng.uniform(0.4, 0.6))
    curve = spline([outside, enter, bend, tip], 80)
    _tube(ink, curve, 0.0058, 0.19, 0.45)


_DEVICES: dict[str, Callable[[Canvas, Ink, Rng, float], None]] = {
    "ECG leads": _leads,
    "endotracheal tube": _airway,
    "enteric tube": _enteric,
    "central line": _central,
    "PICC": _picc,
    "port": _port,
    "pacemaker": _pacemaker,
    "sternal wires": _sternal,
    "chest tube": _chest_tube,
}


def draw_device(canvas: Canvas, number: int, finding: Finding) -> None:
    """Draw one support device; its mask is where it is seen."""
    ink = Ink(canvas.grid.size)
    before = canvas.attenuation.copy() if finding.pattern == "pacemaker" else None
    _DEVICES[finding.pattern](canvas, ink, stream("device", finding.key), SIGNS[finding.side])
    drawn = ink.draw(canvas.grid)
    canvas.attenuation += drawn
    seen = drawn if before is None else canvas.attenuation - before
    canvas.mark(number, canvas.grid, seen, 0.05)


def draw_object(canvas: Canvas, number: int, finding: Finding) -> None:
    """Draw one foreign object on the chest: metal, so nearly white."""
    rng = stream("object", finding.key)
    a, grid = canvas.anatomy, canvas.grid
    scale = 0.95 + 0.6 * finding.severity
    faint = 0.5 if finding.subtle else 1.0
    lung = a.lungs["left"]
    x = a.middle + rng.uniform(-0.3, 0.3)
    y = rng.uniform(lung.apex + 0.02, lung.bottom + 0.06)
    here = np.array([x, y])
    ink = Ink(grid.size)
    solid: tuple[Array, ...] = ()
    part = grid.part(x - 0.08, y - 0.08, x + 0.08, y + 0.08)
    if finding.pattern == "button":
        radius = 0.0125 * scale
        q = disc(part, x, y, radius, radius)
        body = cover((1 - q) * np.float32(radius), 0.005) * np.float32(0.35)
        body += exp(-square((q - 0.85) / 0.16)) * np.float32(0.3)
        for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            hole = disc(part, x + dx * radius * 0.3, y + dy * radius * 0.3, radius * 0.16, radius * 0.16)
            body -= cover(1 - hole, 0.5) * np.float32(0.25)
        solid = (body * np.float32(faint),)
    elif finding.pattern == "coin":
        radius = 0.021 * scale
        q = disc(part, x, y, radius, radius)
        solid = (cover((1 - q) * np.float32(radius), 0.005) * np.float32(0.85 * faint),)
    elif finding.pattern == "necklace":
        low = lung.apex + rng.uniform(0.05, 0.2)
        curve = spline(
            [
                (a.middle - a.neck, lung.apex - 0.06),
                (a.middle - 0.06, low - 0.02),
                (a.middle + rng.normal(0, 0.02), low),
                (a.middle + 0.06, low - 0.025),
                (a.middle + a.neck, lung.apex - 0.06),
            ],
            160,
        )
        beads = curve[::2]
        ink.curve(curve, 0.0018, 0.3 * faint)
        ink.dots(beads[:, 0], beads[:, 1], np.full(len(beads), 0.0026), np.full(len(beads), 0.3 * faint))
        if rng.random() < 0.6:
            ink.dots(
                *(np.array([v]) for v in (curve[80, 0], curve[80, 1] + 0.014, 0.008 * scale, 0.6 * faint))
            )
    elif finding.pattern == "clip":
        angle, length = rng.uniform(0, np.pi), 0.013 * scale
        out = np.array([cos(angle), sin(angle)]) * length
        ink.curve(np.array([here - out, here + out]), 0.0026, 0.8 * faint)
    elif finding.pattern == "pin":
        angle, length = rng.uniform(0, np.pi), 0.04 * scale
        out = np.array([cos(angle), sin(angle)]) * length
        across = np.array([-sin(angle), cos(angle)]) * 0.005
        corners = here + np.array([-out - across, out - across, out + across, across - out])
        ink.curve(spline([(float(a), float(b)) for a, b in corners], 60), 0.0018, 0.65 * faint)
    elif finding.pattern == "zipper":
        count = int(14 + 14 * finding.severity)
        ys = y + np.arange(count) * 0.0085
        xs = a.middle + 0.02 * rng.normal() + 0.003 * np.where(np.arange(count) % 2, 1, -1)
        ink.dots(xs, ys, np.full(count, 0.003), np.full(count, 0.5 * faint))
    else:
        side = 1.0 if rng.random() < 0.5 else -1.0
        cx, cy, radius = a.middle + side * 0.19, lung.dome - 0.06, 0.11
        arc = np.linspace(0.25, np.pi - 0.25, 60)
        ink.curve(np.stack([cx + radius * cos(arc), cy + radius * sin(arc)], 1), 0.0026, 0.5 * faint)
    drawn = ink.draw(grid)
    for body in solid:
        part.of(drawn)[...] += body
    canvas.attenuation += drawn
    canvas.mark(number, grid, drawn, 0.06)


PAINTERS = {DEVICES: draw_device, OBJECT: draw_object}
"""Label to the function that draws it."""
