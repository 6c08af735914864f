"""Look-alikes that are no finding: folds and shadows of skin, breast, hair and clothing, and what lies about.

They imitate pleural lines, nodules and faint opacities.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom.arithmetic import cos, exp, interpolate, sin, square
from g2d_bench.phantom.render import marks
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import bulge, cover, limit, noise, smooth
from g2d_bench.phantom.render.strokes import spline
from g2d_bench.phantom.seeds import Stream


def draw_skin_fold(canvas: Canvas) -> None:
    """A fold of the back's skin: an edge along the lateral lung like a pleural line, vessels beyond it."""
    rng = canvas.rng("fold")
    for _ in range(1 + int(rng.random() < 0.3)):
        _fold(canvas, rng)


def _fold(canvas: Canvas, rng: Stream) -> None:
    field = canvas.lungs["right" if rng.random() < 0.5 else "left"]
    a = canvas.anatomy
    points = [
        field.point(a, rng.uniform(0.5, 0.75), 0.08),
        field.point(a, rng.uniform(0.62, 0.85), 0.45),
        field.point(a, rng.uniform(0.7, 0.95), 0.95),
    ]
    curve = spline(points, 50)
    x = interpolate(field.grid.y[:, 0], curve[:, 1], curve[:, 0])[:, None]
    # Not a line but a step: the fold is dense on its inner side and fades medially.
    inner = np.float32(field.lung.sign) * (x.astype(np.float32) - field.grid.x)
    low, high = float(curve[:, 1].min()), float(curve[:, 1].max())
    ends = smooth(field.grid.y, low - 0.01, low + 0.08) * smooth(field.grid.y, high + 0.02, high - 0.08)
    wide, dense = rng.uniform(0.02, 0.06), rng.uniform(0.06, 0.15)
    step = cover(inner, 0.006) * exp(-limit(inner) / np.float32(wide))
    field.added += step * ends * np.float32(dense) * limit(field.cov + np.float32(0.3))


def draw_companion(canvas: Canvas) -> None:
    """Companion shadow: a smooth soft-tissue band along the upper ribs, like a thin pneumothorax or a cap."""
    rng = canvas.rng("companion")
    for field in canvas.lungs.values():
        distance = np.abs(field.to_wall - np.float32(rng.uniform(0.008, 0.014)))
        band = exp(-square(distance * np.float32(1 / 0.003))) * smooth(field.v, 0.3, 0.1)
        field.added += band * field.cov * np.float32(0.06)


def draw_nipples(canvas: Canvas) -> None:
    """Nipple shadows: like nodules, but mostly on both sides and at one height."""
    rng = canvas.rng("nipple")
    v, size, dense = rng.uniform(0.64, 0.86), rng.uniform(0.005, 0.0085), rng.uniform(0.07, 0.18)
    both = rng.random() < 0.75
    for field in canvas.lungs.values():
        x, y = field.point(canvas.anatomy, rng.uniform(0.45, 0.66), v + rng.uniform(-0.03, 0.03))
        if both or (field.lung.sign > 0) == (dense > 0.12):
            field.ink.dots(x, y, size, dense)


def draw_overlap(canvas: Canvas) -> None:
    """A faint shadow of clothing or bedding over part of one lung: opacity without disease."""
    rng = canvas.rng("overlap")
    field = canvas.lungs["right" if rng.random() < 0.5 else "left"]
    x, y = field.point(canvas.anatomy, rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9))
    part = canvas.grid.part(x - 0.2, y - 0.2, x + 0.2, y + 0.2)
    dx, dy = part.x - np.float32(x), part.y - np.float32(y)
    angle = rng.uniform(0, np.pi)
    across = np.abs(dx * np.float32(cos(angle)) + dy * np.float32(sin(angle)))
    along = np.abs(dy * np.float32(cos(angle)) - dx * np.float32(sin(angle)))
    band = cover(np.float32(rng.uniform(0.02, 0.05)) - across, 0.02) * smooth(along, 0.19, 0.1)
    part.of(canvas.attenuation)[...] += band * np.float32(rng.uniform(0.03, 0.07))


def draw_scapula(canvas: Canvas) -> None:
    """The edge of a shoulder blade within the lung: a line from the apex down, under ribs and vessels."""
    rng = canvas.rng("scapular edge")
    field = canvas.lungs["right" if rng.random() < 0.5 else "left"]
    u = rng.uniform(0.6, 0.9)
    places = ((u, 0.08), (u - rng.uniform(0.0, 0.12), 0.25), (u + rng.uniform(0.0, 0.1), 0.48))
    edge = spline([field.point(canvas.anatomy, *place) for place in places], 50)
    canvas.ink.curve(edge, rng.uniform(0.002, 0.004), rng.uniform(0.05, 0.1))


def draw_braid(canvas: Canvas) -> None:
    """Braids or a tail of hair over an apex: a woven band from the neck."""
    rng = canvas.rng("braid")
    a = canvas.anatomy
    for sign in (-1.0, 1.0) if rng.random() < 0.4 else (1.0 if rng.random() < 0.5 else -1.0,):
        apex = a.lungs["left"].apex
        path = spline(
            [
                (a.middle + sign * rng.uniform(0.05, 0.12), -0.02),
                (a.middle + sign * rng.uniform(0.1, 0.16), apex),
                (a.middle + sign * rng.uniform(0.1, 0.22), apex + rng.uniform(0.08, 0.26)),
            ],
            60,
        )
        t = np.arange(60) * 0.8
        for phase in (0.0, 2.1, 4.2):
            strand = path + np.stack([0.008 * sin(t + phase), 0.002 * cos(t + phase)], 1)
            canvas.ink.curve(strand, 0.0042, np.linspace(0.07, 0.04, 60))


def draw_arm(canvas: Canvas) -> None:
    """An arm that lies over the side of the film."""
    rng = canvas.rng("arm")
    a = canvas.anatomy
    sign = 1.0 if rng.random() < 0.5 else -1.0
    lung = a.lungs["left" if sign > 0 else "right"]
    left, right = sorted((a.middle + sign * (lung.width - 0.1), sign * 0.5))
    part = canvas.grid.part(left, rng.uniform(0.3, 0.55), right, 1.0)
    edge = lung.width + rng.uniform(-0.06, 0.02)
    lean = rng.uniform(-0.15, 0.25)
    inner = (part.x - np.float32(a.middle)) * np.float32(sign) - np.float32(edge)
    inner = inner + np.float32(lean) * (part.y - np.float32(0.7))
    top = smooth(part.y, float(part.y[0, 0]), float(part.y[0, 0]) + 0.12)
    part.of(canvas.attenuation)[...] += (
        bulge(inner * np.float32(1 / 0.07)) * top * np.float32(rng.uniform(0.1, 0.25))
    )


def draw_tubing(canvas: Canvas) -> None:
    """Oxygen tubing and cables on the patient, in loops; none of them is inside."""
    rng = canvas.rng("tubing")
    for _ in range(int(rng.integers(1, 3))):
        sign = 1.0 if rng.random() < 0.5 else -1.0
        y = rng.uniform(0.1, 0.7)
        path = [(sign * 0.52, y)]
        for step in range(3):
            path.append((sign * (0.3 - 0.2 * step) + rng.normal(0, 0.08), y + rng.normal(0.05, 0.14)))
        path.append((rng.uniform(-0.35, 0.35), 1.02 if rng.random() < 0.6 else -0.02))
        curve = spline(path, 90)
        half, dense = rng.uniform(0.003, 0.0065), rng.uniform(0.05, 0.13)
        shift = np.array([[half * 0.7, half * 0.7]])
        for wall in (-shift, shift):
            canvas.ink.curve(curve + wall, half * 0.45, dense)


def draw_cloth(canvas: Canvas) -> None:
    """Folds of a gown or sheet: several faint bands side by side."""
    rng = canvas.rng("cloth")
    x, y, angle = rng.uniform(-0.3, 0.3), rng.uniform(0.2, 0.85), rng.uniform(0, np.pi)
    part = canvas.grid.part(x - 0.24, y - 0.24, x + 0.24, y + 0.24)
    dx, dy = part.x - np.float32(x), part.y - np.float32(y)
    across = dx * np.float32(cos(angle)) + dy * np.float32(sin(angle))
    across = across + np.float32(0.01) * noise(part, "cloud", rng)
    along = np.abs(dy * np.float32(cos(angle)) - dx * np.float32(sin(angle)))
    wave = np.abs(across * np.float32(rng.uniform(20, 45)))
    folds = np.abs(wave - np.floor(wave) - np.float32(0.5)) * 2
    fade = smooth(np.abs(across), 0.16, 0.05) * smooth(along, 0.22, 0.1)
    part.of(canvas.attenuation)[...] += folds * fade * np.float32(rng.uniform(0.03, 0.08))


DECOYS: dict[str, Callable[[Canvas], None]] = {
    "skin fold": draw_skin_fold,
    "companion shadow": draw_companion,
    "nipple": draw_nipples,
    "overlap": draw_overlap,
    "scapular edge": draw_scapula,
    "braid": draw_braid,
    "arm": draw_arm,
    "tubing": draw_tubing,
    "cloth": draw_cloth,
    **marks.MARKS,
}
"""Look-alike to the function that draws it."""
