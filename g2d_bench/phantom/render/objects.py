"""Foreign objects on the patient: buttons, coins, necklaces, clips, pins, zippers, wires of bras."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.arithmetic import cos, even, exp, sin, square
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, cover, disc
from g2d_bench.phantom.render.strokes import Ink, spline
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import stream


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
        ink.dots(beads[:, 0], beads[:, 1], 0.0026, 0.3 * faint)
        if rng.random() < 0.6:
            ink.dots(curve[80, 0], curve[80, 1] + 0.014, 0.008 * scale, 0.6 * faint)
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
        ink.dots(xs, ys, 0.003, 0.5 * faint)
    else:
        side = 1.0 if rng.random() < 0.5 else -1.0
        cx, cy, radius = a.middle + side * 0.19, lung.dome - 0.06, 0.11
        arc = even(0.25, np.pi - 0.25, 60)
        ink.curve(np.stack([cx + radius * cos(arc), cy + radius * sin(arc)], 1), 0.0026, 0.5 * faint)
    drawn = ink.draw(grid)
    for body in solid:
        part.of(drawn)[...] += body
    canvas.attenuation += drawn
    canvas.mark(number, grid, drawn, 0.06)
