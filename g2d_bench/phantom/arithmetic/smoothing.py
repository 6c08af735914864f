"""Gaussian blur and periodic splines, tap by tap in a fixed order."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic.double import exp
from g2d_bench.phantom.arithmetic.simple import total

Doubles = NDArray[np.float64]
F = TypeVar("F", NDArray[np.float32], NDArray[np.float64])


def gaussian(image: F, sigma: float, axis: int, *, truncate: float = 4.0, mirror: bool = False) -> F:
    """Blur along one axis; sums in double precision, from the outermost pair of taps inwards.

    Args:
        image: shape [H, W].
        sigma: standard deviation in pixels.
        axis: 0 or 1.
        truncate: half width of the window in standard deviations.
        mirror: beyond the edge the image is mirrored, else its edge goes on.

    Returns:
        The same shape and type.
    """
    bell = _bell(sigma, truncate)
    reach, length = len(bell) // 2, image.shape[axis]
    padded = np.empty([side + 2 * reach * (place == axis) for place, side in enumerate(image.shape)])
    along, source = (padded, image) if axis == 0 else (padded.T, image.T)
    edge = source[_beyond(length, reach, mirror)]
    along[:reach], along[reach : reach + length], along[reach + length :] = edge[:reach], source, edge[reach:]

    def at(offset: int) -> Doubles:
        window = slice(reach + offset, reach + offset + length)
        return padded[window] if axis == 0 else padded[:, window]

    result = at(0) * bell[reach]
    pair = np.empty_like(result)
    for offset in range(-reach, 0):
        np.add(at(offset), at(-offset), out=pair)
        pair *= bell[reach + offset]
        result += pair
    blurred: F = result.astype(image.dtype)
    return blurred


@lru_cache(maxsize=64)
def _bell(sigma: float, truncate: float) -> list[float]:
    """Weights that add up to one, from one end to the other."""
    reach = int(truncate * sigma + 0.5)
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = exp(-0.5 / (sigma * sigma) * (steps * steps))
    bell /= total(bell.tolist())
    weights: list[float] = bell.tolist()
    return weights


@lru_cache(maxsize=64)
def _beyond(length: int, reach: int, mirror: bool) -> NDArray[np.intp]:
    """Which samples stand for those before the first and then for those after the last, shape [2 reach]."""
    places = np.concatenate([np.arange(-reach, 0), np.arange(length, length + reach)])
    around = places % (2 * length)
    samples: NDArray[np.intp] = (
        np.where(around < length, around, 2 * length - 1 - around)
        if mirror
        else np.minimum(np.maximum(places, 0), length - 1)
    )
    return samples


def periodic_spline(values: Doubles, at: Doubles) -> Doubles:
    """Read a periodic square through cubic splines, on a grid of places.

    Args:
        values: samples at whole numbers, shape [N, N], N at least 3.
        at: places along both axes, shape [M], within a period of the samples.

    Returns:
        Shape [M, M].
    """
    across = _read(_coefficients(values), at)
    return _read(_coefficients(across.T), at).T


POLE = float(np.sqrt(3.0)) - 2.0
"""The one pole of the cubic spline's filter (Unser, 1999)."""


def _coefficients(values: Doubles) -> Doubles:
    """Coefficients of the splines through ``values`` along the first axis, which is periodic."""
    count = len(values)
    c = values * (-6.0 * POLE)
    # A filter forwards and one backwards, each begun with the sum over a whole period.
    for order in (range(count), range(count - 1, -1, -1)):
        start, factor = np.zeros(c.shape[1:]), 1.0
        for place in (order[0], *reversed(order[1:])):
            start = start + factor * c[place]
            factor *= POLE
        c[order[0]] = start / (1.0 - factor)
        for before, place in pairwise(order):
            c[place] += POLE * c[before]
    return c


def _read(coefficients: Doubles, at: Doubles) -> Doubles:
    """Weigh the four coefficients around each place along the first axis."""
    count = len(coefficients)
    low = np.floor(at)
    f = (at - low)[:, None]
    g = 1.0 - f
    base = low.astype(np.int64)
    weights = (
        g * g * g / 6.0,
        (f * f * (f - 2.0) * 3.0 + 4.0) / 6.0,
        (g * g * (g - 2.0) * 3.0 + 4.0) / 6.0,
        f * f * f / 6.0,
    )
    result = np.zeros((len(at), coefficients.shape[1]))
    for offset, weight in enumerate(weights, -1):
        result += weight * coefficients[(base + offset) % count]
    return result
