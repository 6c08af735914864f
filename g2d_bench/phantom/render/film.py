"""From attenuation to grey values: scatter, film curve, noise, collimation, marker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import cos, even, exp, gaussian, interpolate, power, sin, sums_between
from g2d_bench.phantom.look import Look
from g2d_bench.phantom.render import lettering
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, limit, smooth
from g2d_bench.phantom.render.strokes import Ink

CELLS = 24
"""Cells across the coarse picture that processing and scatter work on."""
DENSE = 1.25
"""Attenuation that is shown in the film's white."""
WALL = 0.06
"""Attenuation of the chest wall, which is left however much air lies behind it."""


def expose(canvas: Canvas) -> NDArray[np.uint8]:
    """Turn the canvas into a film.

    The detector sees ``exp(-attenuation)``; its logarithm, which is the attenuation again, is split into a
    coarse and a fine picture, as scatter and multi-frequency processing do, and goes through a film curve
    that saturates. Quantum noise grows where few photons arrive.

    Returns:
        Grey values, shape [S, S].
    """
    technique, size = canvas.scene.technique, canvas.grid.size
    look = technique.look
    rng = canvas.rng("film", size)
    dense = canvas.attenuation
    for axis in (0, 1):
        dense = gaussian(dense, technique.blur * size, axis, truncate=2.5, mirror=True)
    slant = np.float32(look.slant[0]) * canvas.grid.x + np.float32(look.slant[1]) * (
        canvas.grid.y - np.float32(0.5)
    )
    dark = (_walled(dense, canvas.body) + slant * canvas.body).clip(0)
    # Per pixel, noise falls with the pixel's area; below 256 px it would otherwise vanish.
    grain = technique.noise * power(size / 256, 0.6)
    noisy = rng.normal_singles(canvas.grid.shape)
    noisy *= exp(np.float32(0.85) * (dark - np.float32(0.5))) * np.float32(grain)
    coarse = _coarse(dark)
    level = np.float32(0.75 * look.equal)
    # Air keeps its black: what processing lifts there is cut off on a print.
    base = np.float32(1 - look.equal) * coarse + level * smooth(coarse, 0.0, 0.35)
    shown = (base + np.float32(look.detail) * (dark + noisy - coarse)).clip(0)
    shown *= smooth(dark, 0.0, WALL)
    grey = _curve(shown.astype(np.float32, copy=False), look)
    if look.lines:
        grey += np.float32(look.lines) * sin((np.float32(2 * np.pi * 83) * canvas.grid.y).astype(np.float32))
    _collimate(canvas, grey)
    _letters(canvas, grey)
    film: NDArray[np.uint8] = np.rint(grey * np.float32(255)).clip(0, 255).astype(np.uint8)
    return film


def _walled(dense: Array, body: Array) -> Array:
    """No beam that meets the body comes out as bright as one beside it: a soft floor under ``dense``."""
    floor = np.float32(WALL) * body
    above = dense - floor
    walled: Array = floor + np.float32(0.5) * (above + np.sqrt(above * above + floor * floor))
    return walled


def _curve(shown: Array, look: Look) -> Array:
    """The film curve: a toe, then saturation; black and white as the look has them."""
    speed = np.float32(-look.speed)
    toe = np.float32(look.toe)
    bend = shown * (1 - toe + toe * limit(shown * np.float32(1 / 0.5)))
    one = np.float32(1)
    curve = (one - exp(speed * bend)) * np.float32(1 / (1 - exp(-look.speed * DENSE)))
    grey: Array = np.float32(look.black) + np.float32(look.white - look.black) * curve
    return grey


def _coarse(image: Array) -> Array:
    """The picture without anything finer than a fifteenth of its side."""
    size = image.shape[0]
    edges = np.rint(np.arange(CELLS + 1) * (size / CELLS)).astype(np.int64)
    counts = np.diff(edges).astype(np.float64)
    middles = (edges[:-1] + edges[1:]) / 2 - 0.5
    small = image.astype(np.float64)
    for _ in range(2):
        small = (sums_between(small, edges) / counts[:, None]).T
    for axis in (0, 1):
        small = gaussian(small, 0.9, axis, mirror=True)
    at = np.arange(size, dtype=np.float64)
    wide = interpolate(at, middles, interpolate(at, middles, small).T)
    return wide.T.astype(np.float32)


def _collimate(canvas: Canvas, grey: Array) -> None:
    left, top, right, bottom = canvas.scene.technique.collimation
    x, y = canvas.grid.x, canvas.grid.y
    px = canvas.grid.px
    for distance, width in ((x + 0.5, left), (y, top), (0.5 - x, right), (1 - y, bottom)):
        if width > 0:
            grey *= np.float32(0.02) + np.float32(0.98) * limit(
                (distance - np.float32(width)) / np.float32(2 * px) + 0.5
            )


def _letters(canvas: Canvas, grey: Array) -> None:
    """Burn in the side marker and the captions; a marker may stand in a ring."""
    technique = canvas.scene.technique
    if not technique.marker and not technique.look.captions:
        return
    rng = canvas.rng("marker")
    ink = Ink(canvas.grid.size)
    draw = rng.random(8)
    tall = 0.022 + 0.022 * draw[0]
    # The letter lies on its own side: the patient's left is the image's right.
    left = technique.marker == "L"
    x0 = (0.37 if left else -0.46) + 0.06 * draw[1]
    y0 = 0.03 + 0.17 * draw[2]
    if technique.marker:
        lettering.write(ink, technique.marker, x0, y0, tall)
        if draw[3] < 0.2:
            angle = even(0, 2 * np.pi, 30)
            centre = (x0 + tall * lettering.WIDTH / 2, y0 + tall / 2)
            ring = [centre[0] + 0.9 * tall * cos(angle), centre[1] + 0.9 * tall * sin(angle)]
            ink.curve(np.stack(ring, 1), tall * 0.06, 1.8)
    small = 0.016 + 0.012 * draw[4]
    beside = -0.47 if (left if technique.marker else draw[5] < 0.5) else 0.2
    for number, line in enumerate(technique.look.captions):
        lettering.write(ink, line, beside, 0.02 + 0.06 * draw[6] + 1.6 * small * number, small)
    bright = np.float32(0.75 + 0.25 * draw[7])
    np.maximum(grey, limit(ink.draw(canvas.grid)) * bright, out=grey)
