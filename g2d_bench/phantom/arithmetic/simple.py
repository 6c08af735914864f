"""Sums, lengths and straight lines, each in one fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import fsum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", np.float32, np.float64)
N = TypeVar("N", float, NDArray[np.float32], NDArray[np.float64])


def square(x: N) -> N:
    """The square: of a single number, ``** 2`` goes through the C library's power."""
    return x * x


def between(x: N, low: float, high: float) -> N:
    """The number, or each of several, and the bound that it is beyond in its place."""
    return x.clip(low, high) if isinstance(x, np.ndarray) else min(max(x, low), high)


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
    at, x, values = (np.asarray(part, np.float64) for part in (at, x, values))
    left = x[1:-1].searchsorted(at, side="right")
    rise = (values[..., 1:] - values[..., :-1]) / (x[1:] - x[:-1]).clip(1e-300)
    line: NDArray[np.float64] = rise[..., left] * (at - x[left]) + values[..., left]
    line[..., at >= x[-1]] = values[..., -1:]
    line[..., at < x[0]] = values[..., :1]
    return line


def slope(values: NDArray[F], step: float = 1.0) -> NDArray[F]:
    """Central differences along the last axis, one-sided at its ends: ``np.gradient``, but quicker.

    Args:
        values: shape [..., N], N at least 3.
        step: distance between samples.

    Returns:
        The same shape and type.
    """
    result = np.empty_like(values)
    np.subtract(values[..., 2:], values[..., :-2], out=result[..., 1:-1])
    result[..., 1:-1] /= values.dtype.type(2 * step)
    result[..., 0] = (values[..., 1] - values[..., 0]) / step
    result[..., -1] = (values[..., -1] - values[..., -2]) / step
    return result


def sums_between(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much running sums along the first axis grow from edge to edge; each adds up from the first row on.

    Args:
        values: shape [N, M].
        edges: rising, from 0 up to N, shape [K].

    Returns:
        Shape [K - 1, M].
    """
    run = np.zeros(values.shape[1])
    grown = np.empty((len(edges) - 1, values.shape[1]))
    for row, (start, stop) in zip(grown, pairwise(edges.tolist()), strict=True):
        np.negative(run, out=row)
        for value in values[start:stop]:
            run += value
        row += run
    return grown
