"""Support devices: tubes, lines, wires, pacemakers, at their real widths, some of them badly placed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.anatomy import SIGNS
from g2d_bench.phantom.arithmetic import cos, cube, even, hypot, sin
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.objects import draw_object
from g2d_bench.phantom.render.raster import cover, disc
from g2d_bench.phantom.render.strokes import Ink, spline
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream, stream

Point = tuple[float, float]
Rng = Stream


def _tube(ink: Ink, points: NDArray[np.float64], half: float, height: float, wall: float = 0.5) -> None:
    """A tube: a faint body, two denser walls, and a stripe that stops X-rays along one of them."""
    ink.curve(points, half * 0.8, height * (1 - wall))
    normal = np.gradient(points, axis=0)[:, ::-1] * np.array([1, -1])
    normal /= np.maximum(hypot(normal[:, :1], normal[:, 1:]), 1e-9)
    for sign, dense in ((-1, 0.6), (1, 0.6), (0.45, 1.0)):
        ink.curve(points + sign * half * normal, 0.0017, height * wall * dense)


def _path(f: _Frame, *places: tuple[float, float], count: int = 70) -> NDArray[np.float64]:
    """A smooth way through places given by lateral distance and height."""
    return spline([f.at(lateral, y) for lateral, y in places], count)


class _Frame:
    """Places on this chest: lateral distance from the midline (left positive) and y relative to landmarks.

    In lengths of a chest of size 1: a device keeps its place on a chest that is larger on the film.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.a = canvas.anatomy
        self.zoom = self.a.zoom
        self.apex = self.a.lungs["left"].apex / self.zoom
        self.carina = self.a.carina / self.zoom
        self.dome = self.a.lungs["left"].dome / self.zoom

    def at(self, lateral: float, y: float) -> Point:
        """Map a place to x and y on the image."""
        y *= self.zoom
        return self.a.midline(y) + lateral * self.zoom, y


def _airway(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    # One in eight is too deep, in the right main bronchus; one in eight too high.
    draw, drift = rng.random(), rng.normal(0, 0.008)
    tip = f.carina - (rng.uniform(0.1, 0.16) if draw > 0.875 else rng.uniform(0.02, 0.09))
    places = [(rng.normal(0, 0.014), -0.03), (drift, f.apex), (0.5 * drift - 0.002, tip)]
    if draw < 0.125:
        places[-1:] = [(-0.004, f.carina - 0.01), (-0.04, f.carina + rng.uniform(0.025, 0.05))]
    curve = _path(f, *places, count=40)
    _tube(ink, curve, rng.uniform(0.0085, 0.011), 0.24, 0.6)
    if rng.random() < 0.6:
        # The inflated cuff is air, its filling line runs along the tube.
        ink.curve(curve[:30] + np.array([0.012, 0.0]), 0.0009, 0.06)


def _enteric(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    drift = rng.normal(0, 0.006)
    places = [(0.006, -0.03), (0.01 + drift, f.carina), (0.012 + drift, f.dome - 0.1)]
    draw = rng.random()
    if draw < 0.1:
        # Coiled in the gullet.
        y = f.dome - rng.uniform(0.05, 0.2)
        places[-1:] = [(0.012, y), (0.034, y + 0.03), (0.03, y - 0.05), (0.008, y - 0.12)]
    elif draw > 0.2:
        places += [(0.04, f.dome + 0.02), (0.1 + 0.05 * rng.random(), f.dome + 0.1)]
        places.append((rng.uniform(-0.02, 0.17), f.dome + rng.uniform(0.12, 0.22)))
    else:
        # Too short: its end lies above the stomach.
        places.append((0.02, f.dome - rng.uniform(0.0, 0.05)))
    curve = _path(f, *places, count=90)
    if rng.random() < 0.35:
        ink.curve(curve, 0.0026, 0.2)
    else:
        _tube(ink, curve, rng.uniform(0.005, 0.0068), 0.22, 0.7)


def _central(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    if rng.random() < 0.35:
        # By the vein under the collar bone.
        start = [(sign * 0.33, f.apex + 0.13), (sign * 0.22, f.apex + 0.075), (sign * 0.1, f.apex + 0.075)]
    else:
        start = [(sign * rng.uniform(0.1, 0.16), -0.03), (sign * 0.085, f.apex + 0.02)]
    places = [*start, (-0.03, f.carina - 0.09), (-0.042, f.carina + rng.uniform(-0.03, 0.14))]
    draw = rng.random()
    if draw < 0.06:
        # Up the other side's vein.
        places[-1] = (-sign * 0.11, f.apex - 0.02)
    curve = _path(f, *places)
    ink.curve(curve, rng.uniform(0.0018, 0.0034), rng.uniform(0.1, 0.2))
    if rng.random() < 0.4:
        # The hub with its ports, outside.
        hub = curve[0] + np.array([[0.0, 0.0], [sign * 0.012, 0.012], [sign * 0.03, 0.02]])
        ink.curve(hub, 0.0036, 0.12)


def _picc(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    places = [(sign * 0.47, f.apex + 0.3), (sign * 0.4, f.apex + 0.13), (sign * 0.2, f.apex + 0.06)]
    if rng.random() < 0.08:
        # Turned up into the neck.
        places += [(sign * 0.09, f.apex + 0.04), (sign * 0.1, f.apex - 0.1)]
    else:
        places += [(-0.03, f.carina - 0.08), (-0.042, f.carina + rng.uniform(-0.03, 0.13))]
    ink.curve(_path(f, *places, count=80), rng.uniform(0.0012, 0.0018), rng.uniform(0.09, 0.17))


def _port(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    x, y = f.at(sign * rng.uniform(0.2, 0.28), f.apex + rng.uniform(0.13, 0.22))
    ink.dots(x, y, 0.011, 0.45)
    angle = even(0, 2 * np.pi, 40)
    ink.curve(np.stack([x + 0.018 * cos(angle), y + 0.018 * sin(angle)], 1), 0.0022, 0.25)
    path = [(x, y - 0.018), f.at(sign * 0.15, f.apex + 0.04), f.at(sign * 0.06, f.apex + 0.05)]
    path += [f.at(-0.03, f.carina - 0.06)]
    ink.curve(spline([*path, f.at(-0.042, f.carina + rng.uniform(0.0, 0.12))], 80), 0.0022, 0.16)


def _pacemaker(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    f = _Frame(canvas)
    sign = 1.0 if rng.random() < 0.85 else -1.0
    x, y = f.at(sign * rng.uniform(0.25, 0.32), f.apex + rng.uniform(0.09, 0.19))
    size, dense = rng.uniform(0.032, 0.052), rng.uniform(0.4, 0.75)
    part = canvas.grid.part(x - 0.08, y - 0.08, x + 0.08, y + 0.08)
    q = disc(part, x, y, size, size * 0.85, rng.uniform(-0.5, 0.5))
    part.of(canvas.attenuation)[...] += cover(1 - cube(q), 0.2) * np.float32(dense)
    hx, hy, long = (length / f.zoom for length in canvas.anatomy.heart[:3])
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
    angle = even(0.3, 2 * np.pi + 0.1, 30)
    for y in even(f.carina - 0.1, f.dome - 0.06, int(rng.integers(5, 8))):
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
    """Electrodes on pads, clipped or snapped to wires that hang in bows over the chest."""
    f = _Frame(canvas)
    spots = [
        (-0.27, f.apex + 0.1),
        (0.27, f.apex + 0.1),
        (0.3, f.dome - 0.04),
        (-0.28, f.dome - 0.02),
        (0.05, f.dome - 0.16),
    ]
    rng.shuffle(spots)
    low = rng.random() < 0.5
    beyond = (rng.uniform(-0.5, 0.5), 1.03) if low else (sign * 0.55, rng.uniform(0.0, 0.9))
    meet = f.at(beyond[0] / f.zoom, beyond[1] / f.zoom)
    clips = rng.random() < 0.5
    wire, dense = rng.uniform(0.0018, 0.0032), rng.uniform(0.12, 0.24)
    bow = 0.06 + 0.07 * rng.random()
    for lateral, y in spots[: int(rng.integers(2, 6))]:
        x, cy = f.at(lateral + rng.normal(0, 0.035), y + rng.normal(0, 0.04))
        end = (meet[0] + rng.normal(0, 0.04), meet[1] + rng.normal(0, 0.02))
        if clips:
            # A pinch clip: a body with two jaws.
            angle = rng.uniform(0, 2 * np.pi)
            way = np.array([cos(angle), sin(angle)])
            body = np.array([x, cy]) + np.outer([0.0, 0.012, 0.03], way)
            ink.curve(body, 0.0024, 0.26)
            for turn in (-0.35, 0.35):
                jaw = np.array([cos(angle + np.pi + turn), sin(angle + np.pi + turn)]) * 0.016
                ink.curve(np.array([[x, cy], [x + jaw[0], cy + jaw[1]]]), 0.0014, 0.3)
            x, cy = float(body[-1, 0]), float(body[-1, 1])
        else:
            ink.dots(x, cy, rng.uniform(0.0035, 0.0055), 0.45)
            circle = even(0, 2 * np.pi, 24)
            pad = rng.uniform(0.011, 0.02)
            ink.curve(np.stack([x + pad * cos(circle), cy + pad * sin(circle)], 1), 0.0028, 0.045)
        thirds = [(x + (end[0] - x) * t, cy + (end[1] - cy) * t + bow * rng.normal()) for t in (0.33, 0.7)]
        ink.curve(
            spline([(x, cy), (thirds[0][0] + bow * rng.normal(), thirds[0][1]), thirds[1], end], 60),
            wire,
            dense,
        )


def _chest_tube(canvas: Canvas, ink: Ink, rng: Rng, sign: float) -> None:
    field = canvas.lungs["right" if sign < 0 else "left"]
    a = canvas.anatomy
    enter = field.point(a, 1.0, rng.uniform(0.6, 0.88))
    outside = (enter[0] + field.lung.sign * 0.16, enter[1] + rng.uniform(-0.03, 0.08))
    if rng.random() < 0.25:
        # For fluid: along the diaphragm.
        tip, bend = field.point(a, rng.uniform(0.15, 0.4), 0.9), field.point(a, 0.7, 0.92)
    else:
        tip = field.point(a, rng.uniform(0.25, 0.75), rng.uniform(0.05, 0.4))
        bend = field.point(a, rng.uniform(0.75, 0.95), rng.uniform(0.4, 0.6))
    curve = spline([outside, enter, bend, tip], 80)
    if rng.random() < 0.2:
        # A thin drain with a curl.
        ink.curve(curve, 0.0026, 0.17)
        turn = even(0, 1.7 * np.pi, 24)
        curl = curve[-1] + 0.015 * np.stack([cos(turn) - 1, sin(turn)], 1)
        ink.curve(curl, 0.0026, 0.17)
        return
    _tube(ink, curve, rng.uniform(0.0075, 0.011), 0.27, 0.6)


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


PAINTERS = {DEVICES: draw_device, OBJECT: draw_object}
"""Label to the function that draws it."""
