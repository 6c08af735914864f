"""Sums, lengths and straight lines, each in one fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", np.float32, np.float64)
N = TypeVar("N", float, NDArray[np.float32], NDArray[np.float64])


def square(x: N) -> N:
    """The square: of a single number, ``** 2`` goes through the C library's power."""
    return x * x


def cube(x: NDArray[F]) -> NDArray[F]:
    """The third power, rounded once: the product is made in double precision."""
    wide = x.astype(np.float64)
    return (wide * wide * wide).astype(x.dtype)


def even(start: float, stop: float, count: int) -> NDArray[np.float64]:
    """``count`` numbers, 2 or more, at equal distances: what ``np.linspace`` gives, but quicker."""
    numbers = np.arange(count, dtype=np.float64)
    numbers *= (stop - start) / (count - 1)
    numbers += start
    numbers[-1] = stop
    return numbers


def total(values: Iterable[float]) -> float:
    """Add up from first to last; Python's ``sum`` compensates from 3.12 on, which rounds otherwise."""
    result = 0.0
    for value in values:
        result += value
    return result


def deviation(values: NDArray[np.float64]) -> float:
    """Standard deviation over all elements, from sums that are rounded once."""
    flat = values.ravel()
    mean = fsum(flat) / flat.size
    return float(np.sqrt(fsum(square(flat - mean)) / flat.size))


def hypot(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """``sqrt(x^2 + y^2)`` in double precision, of the wider type of the two."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    return np.sqrt(a * a + b * b).astype(np.result_type(x, y))


def interpolate(
    at: NDArray[np.floating], x: NDArray[np.floating], values: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Interpolate linearly; beyond the ends, the end's value.

    Args:
        at: where, shape [M].
        x: places of the samples, rising, shape [N].
        values: one or several rows of samples, shape [N] or [K, N].

    Returns:
        Shape [M] or [K, M].
    """
    at, x, values = at.astype(np.float64), x.astype(np.float64), values.astype(np.float64)
    left = np.minimum(np.maximum(np.searchsorted(x, at, side="right") - 1, 0), len(x) - 2)
    start, low = x[left], values[..., left]
    rise = (values[..., left + 1] - low) / np.maximum(x[left + 1] - start, 1e-300)
    line: NDArray[np.float64] = rise * (at - start) + low
    line = np.where(at >= x[-1], values[..., -1:], line)
    return np.where(at < x[0], values[..., :1], line)
