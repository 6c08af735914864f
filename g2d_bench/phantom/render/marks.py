"""Old disease and old operations: marks that stay for life and are no finding of the film.

They belong to the patient: at the same place on every film of theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom.arithmetic import cos, even, sin
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import cover, disc, limit, noise, smooth
from g2d_bench.phantom.render.strokes import spline
from g2d_bench.phantom.seeds import Stream


def _side(canvas: Canvas, rng: Stream) -> str:
    return "right" if rng.random() < 0.5 else "left"


def draw_granulomas(canvas: Canvas) -> None:
    """Calcified granulomas: small, dense, sharp."""
    rng = canvas.mark_rng("granuloma")
    for _ in range(int(rng.integers(1, 5))):
        field = canvas.lungs[_side(canvas, rng)]
        x, y = field.point(canvas.anatomy, rng.uniform(0.15, 0.9), rng.uniform(0.1, 0.9))
        size = rng.uniform(0.002, 0.0045)
        field.ink.dots(x, y, size, rng.uniform(0.14, 0.35))


def draw_scar(canvas: Canvas) -> None:
    """Scars of an apex: strands that run up to it, and a hilum drawn up."""
    rng = canvas.mark_rng("scar")
    for field in [*canvas.lungs.values()] if rng.random() < 0.4 else [canvas.lungs[_side(canvas, rng)]]:
        for _ in range(int(rng.integers(3, 8))):
            u, v = rng.uniform(0.1, 0.8), rng.uniform(0.08, 0.3)
            ends = [field.point(canvas.anatomy, u, v)]
            for step in (1, 2):
                u, v = u + rng.normal(0, 0.06), v + 0.05 * step * rng.uniform(0.4, 1)
                ends.append(field.point(canvas.anatomy, u, v))
            field.ink.curve(spline(ends, 20), rng.uniform(0.0012, 0.0024), rng.uniform(0.05, 0.12))
        haze = smooth(field.v + noise(field.grid, "cloud", rng) * np.float32(0.04), 0.2, 0.03)
        field.added += haze * field.cov * np.float32(rng.uniform(0.02, 0.08))


def draw_plaques(canvas: Canvas) -> None:
    """Calcified pleural plaques: sharp, irregular, map-like, along the wall and on the diaphragm."""
    rng = canvas.mark_rng("plaque")
    for field in canvas.lungs.values():
        rough = noise(field.grid, "mottle", rng)
        v = np.float32(rng.uniform(0.35, 0.8))
        band = smooth(np.abs(field.v - v), 0.22, 0.1) * smooth(field.to_wall, 0.05, 0.012)
        band = np.maximum(
            band, smooth(field.to_floor, 0.022, 0.008) * smooth(np.abs(field.u - np.float32(0.5)), 0.3, 0.1)
        )
        field.added += (
            cover(band - np.float32(0.45) + np.float32(0.2) * rough, 0.25)
            * field.cov
            * np.float32(rng.uniform(0.05, 0.14))
        )


def draw_calcified_aorta(canvas: Canvas) -> None:
    """A calcified arch: a thin bright rim within the aortic knob."""
    rng = canvas.mark_rng("aorta")
    a = canvas.anatomy
    y, wide = a.knob[0], a.mediastinum * 0.9 + a.knob[1]
    angle = np.linspace(-1.2, rng.uniform(0.3, 1.1), 30)
    x = a.midline(y) + wide + a.zoom * (0.026 * cos(angle) - 0.034)
    canvas.ink.curve(np.stack([x, y + a.zoom * 0.032 * sin(angle)], 1), 0.0017, rng.uniform(0.08, 0.2))


def draw_hilar_nodes(canvas: Canvas) -> None:
    """Calcified lymph nodes at a hilum: a bunch of dense crumbs."""
    rng = canvas.mark_rng("nodes")
    field = canvas.lungs[_side(canvas, rng)]
    x, y = field.point(canvas.anatomy, 0.12, rng.uniform(0.42, 0.52))
    count = int(rng.integers(3, 9))
    field.ink.dots(
        x + canvas.anatomy.zoom * 0.018 * rng.normal(size=count),
        y + canvas.anatomy.zoom * 0.022 * rng.normal(size=count),
        rng.uniform(0.0025, 0.006, count),
        rng.uniform(0.1, 0.28, count),
    )


_BEAK = ((0.037, -0.008), (0.051, 0.0), (0.037, 0.008))


def draw_spurs(canvas: Canvas) -> None:
    """Spurs of an old spine: bright beaks beside the discs."""
    rng = canvas.mark_rng("spurs")
    a = canvas.anatomy
    for y in np.linspace(a.carina, a.carina + 0.5 * a.zoom, 9):
        if rng.random() < 0.5:
            sign = 1.0 if rng.random() < 0.35 else -1.0
            x = a.midline(y)
            ends = [(x + sign * a.zoom * across, y + a.zoom * down) for across, down in _BEAK]
            canvas.ink.curve(spline(ends, 12), 0.0026, rng.uniform(0.06, 0.14))


def draw_clips(canvas: Canvas) -> None:
    """Surgical clips: in an armpit, at a hilum, or below the diaphragm."""
    rng = canvas.mark_rng("clips")
    field = canvas.lungs[_side(canvas, rng)]
    u, v = ((1.12, 0.3), (0.12, 0.5), (0.2, 1.12))[int(rng.integers(0, 3))]
    x, y = field.point(canvas.anatomy, min(u, 1.0), min(v, 1.0))
    x, y = x + field.lung.sign * max(0.0, u - 1) * 0.5, y + max(0.0, v - 1) * 0.5
    for _ in range(int(rng.integers(2, 7))):
        angle, half = rng.uniform(0, np.pi), rng.uniform(0.004, 0.007)
        middle = np.array([x + 0.025 * rng.normal(), y + 0.025 * rng.normal()])
        way = half * np.array([cos(angle), sin(angle)])
        canvas.ink.curve(np.array([middle - way, middle + way]), 0.0013, 0.5)


def draw_rods(canvas: Canvas) -> None:
    """Rods and screws in the spine."""
    rng = canvas.mark_rng("rods")
    a = canvas.anatomy
    top, bottom = rng.uniform(0.2, 0.5), rng.uniform(0.75, 1.05)
    y = even(top, bottom, 30)
    for sign in (-1.0, 1.0):
        x = a.midline(y) + sign * a.zoom * 0.017
        canvas.ink.curve(np.stack([x, y], 1), 0.0032, 0.5)
        for place in np.arange(top + 0.01, bottom, 0.07 * a.zoom):
            cx = a.midline(float(place)) + sign * a.zoom * 0.019
            screw = [[cx, place], [cx - sign * a.zoom * 0.013, place + 0.004]]
            canvas.ink.curve(np.array(screw), 0.0034, 0.4)


def draw_prosthesis(canvas: Canvas) -> None:
    """A prosthesis of a shoulder: a metal ball on a stem."""
    rng = canvas.mark_rng("prosthesis")
    a = canvas.anatomy
    lung = a.lungs[_side(canvas, rng)]
    # Where the head of the humerus is drawn.
    lateral = lung.width + a.zoom * (-0.05 if a.bedside else 0.01) + 0.1
    x, y = a.middle + lung.sign * lateral, lung.apex + 0.115
    part = canvas.grid.part(x - 0.06, y - 0.06, x + 0.06, y + 0.06)
    ball = cover((1 - disc(part, x, y, 0.045, 0.048)) * np.float32(0.045), 0.006)
    part.of(canvas.attenuation)[...] += limit(ball) * np.float32(0.7)
    stem = [(x, y), (x + lung.sign * 0.025, y + 0.09), (x + lung.sign * 0.04, y + 0.24)]
    canvas.ink.curve(spline(stem, 30), np.linspace(0.011, 0.005, 30), 0.6)


MARKS: dict[str, Callable[[Canvas], None]] = {
    "granuloma": draw_granulomas,
    "apical scar": draw_scar,
    "plaques": draw_plaques,
    "calcified aorta": draw_calcified_aorta,
    "hilar nodes": draw_hilar_nodes,
    "spurs": draw_spurs,
    "clips": draw_clips,
    "spinal rods": draw_rods,
    "shoulder prosthesis": draw_prosthesis,
}
"""Old mark to the function that draws it."""
