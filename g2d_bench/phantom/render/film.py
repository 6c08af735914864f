"""From attenuation to grey values: scatter, film curve, noise, collimation, marker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import exp, gaussian, power
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, Ink

# Strokes of the side letters on a square of 1 by 1.
_LETTERS = {
    "L": [[(0.2, 0.0), (0.2, 1.0)], [(0.2, 1.0), (0.8, 1.0)]],
    "R": [
        [(0.2, 0.0), (0.2, 1.0)],
        [(0.2, 0.0), (0.65, 0.02), (0.8, 0.25), (0.65, 0.48), (0.2, 0.5)],
        [(0.45, 0.5), (0.82, 1.0)],
    ],
}


def expose(canvas: Canvas) -> NDArray[np.uint8]:
    """Turn the canvas into a film.

    The detector sees ``exp(-attenuation)``; its logarithm, which is the attenuation again, goes through a
    sigmoid film curve. Quantum noise grows where few photons arrive.

    Returns:
        Grey values, shape [S, S].
    """
    technique, size = canvas.scene.technique, canvas.grid.size
    rng = canvas.rng("film", size)
    dense = canvas.attenuation
    for axis in (0, 1):
        dense = gaussian(dense, technique.blur * size, axis, truncate=2.5, mirror=True)
    dark = np.maximum(dense, 0)
    # Per pixel, noise falls with the pixel's area; below 256 px it would otherwise vanish.
    grain = technique.noise * power(size / 256, 0.6)
    noisy = rng.normal_singles(canvas.grid.shape)
    noisy *= exp(np.float32(0.85) * (dark - np.float32(0.5))) * np.float32(grain)
    slope = 4.2 * technique.contrast
    middle = 0.6 - 0.05 * technique.exposure
    shade = np.float32(-slope) * (dark + noisy - np.float32(middle))
    one = np.float32(1)
    curve: Array = one / (one + exp(shade.astype(np.float32, copy=False)))
    floor = 1 / (1 + exp(slope * middle))
    ceiling = 1 / (1 + exp(-slope * (1.42 - middle)))
    grey = (curve - np.float32(floor)) * np.float32(1 / (ceiling - floor))
    _collimate(canvas, grey)
    _letter(canvas, grey)
    film: NDArray[np.uint8] = np.clip(np.rint(grey * np.float32(250)), 0, 255).astype(np.uint8)
    return film


def _collimate(canvas: Canvas, grey: Array) -> None:
    left, top, right, bottom = canvas.scene.technique.collimation
    x, y = canvas.grid.x, canvas.grid.y
    px = canvas.grid.px
    for distance, width in ((x + 0.5, left), (y, top), (0.5 - x, right), (1 - y, bottom)):
        if width > 0:
            grey *= np.float32(0.02) + np.float32(0.98) * np.clip(
                (distance - np.float32(width)) / np.float32(2 * px) + 0.5, 0, 1
            )


def _letter(canvas: Canvas, grey: Array) -> None:
    letter = canvas.scene.technique.marker
    if letter not in _LETTERS:
        return
    rng = canvas.rng("marker")
    wide = rng.uniform(0.022, 0.036)
    # The letter lies on its own side: the patient's left is the image's right.
    x0 = (0.4 if letter == "L" else -0.46) + rng.uniform(-0.03, 0.03)
    y0 = rng.uniform(0.04, 0.16)
    ink = Ink(canvas.grid.size)
    for stroke in _LETTERS[letter]:
        points = np.array(stroke) * wide + np.array([x0, y0])
        ink.curve(points, wide * 0.09, 1.8)
    part = canvas.grid.part(x0 - 0.02, y0 - 0.02, x0 + wide + 0.02, y0 + wide + 0.02)
    view = part.of(grey)
    np.maximum(view, np.clip(ink.draw(part), 0, 1), out=view)
