"""Exponential, logarithm, power, sine, cosine and inverse tangent in double precision.

One number and an array give the same bits. Arguments are finite or infinite, never NaN. Arrays of single
precision go to :mod:`single`, but for the inverse tangent, which is rounded from double.

Sources: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), for the reductions;
the tables follow P. T. P. Tang, Table-driven implementation of the exponential function (1989).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import single, tables

Doubles = NDArray[np.float64]
N = TypeVar("N", float, NDArray[np.float64])
F = TypeVar("F", NDArray[np.float32], NDArray[np.float64])
OCTAVE = 6
STEPS = 1 << OCTAVE
"""Table entries per octave."""
PLACES = 128
"""Table entries of the logarithm, from 0 to 1."""


class _Constants(NamedTuple):
    """Everything that is computed once.

    Attributes:
        power: ``2 ** (j / STEPS)``.
        power_rest: what rounding has left of it.
        step: ``STEPS / ln 2``.
        unit: ``ln 2 / STEPS`` in two parts, the first of 34 bits.
        ln2: ``ln 2`` in two parts, the first of 40 bits.
        log: logarithm of ``j / PLACES`` in two parts, the first of 40 bits, and the reciprocal.
        turn: 64ths of a turn in one radian.
        part: a 64th of a turn in three parts, two of 33 bits.
        sine: sines of ``j`` 64ths of a turn, a turn and a half.
        arctan: inverse tangents of ``j / 16``.
    """

    power: Doubles
    power_rest: Doubles
    step: float
    unit: tuple[float, ...]
    ln2: tuple[float, ...]
    log: tuple[Doubles, Doubles, Doubles]
    turn: float
    part: tuple[float, ...]
    sine: Doubles
    arctan: Doubles


@cache
def _constants() -> _Constants:
    ln2, pi = tables.ln2(), tables.pi()
    return _Constants(
        *tables.powers_of_two(STEPS),
        step=STEPS / float(ln2),
        unit=tables.split(ln2, 34, over=STEPS),
        ln2=tables.split(ln2, 40),
        log=tables.logarithms(PLACES),
        turn=32 / float(pi),
        part=tables.split(pi, 33, 33, over=32),
        sine=tables.sines(96),
        arctan=tables.arctangents(16),
    )


@overload
def exp(x: float) -> float: ...
@overload
def exp(x: F) -> F: ...
def exp(x: Any) -> Any:
    """The exponential, within 0.6 units in the last place."""
    if not isinstance(x, np.ndarray):
        return _exp_of_one(float(x))
    if x.dtype == np.float32:
        return single.exp(x)
    k = _constants()
    x = x.clip(-746.0, 710.0)
    n = np.rint(x * k.step)
    p = _exp_series((x - n * k.unit[0]) - n * k.unit[1])
    whole = n.astype(np.int64)
    j = whole & (STEPS - 1)
    head = k.power[j]
    with np.errstate(over="ignore"):
        return np.ldexp(head + (k.power_rest[j] + head * p), whole >> OCTAVE)


def _exp_of_one(x: float) -> float:
    k = _constants()
    x = min(max(x, -746.0), 710.0)
    n = round(x * k.step)
    p = _exp_series((x - n * k.unit[0]) - n * k.unit[1])
    j = n & (STEPS - 1)
    head = float(k.power[j])
    value = head + (float(k.power_rest[j]) + head * p)
    try:
        return math.ldexp(value, n >> OCTAVE)
    except OverflowError:
        return math.inf


def _exp_series(r: N) -> N:
    """``exp(r) - 1`` for arguments below 0.0055."""
    return r + (r * r) * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720)))))


@overload
def log(x: float) -> float: ...
@overload
def log(x: Doubles) -> Doubles: ...
def log(x: Any) -> Any:
    """The natural logarithm of finite numbers from 0 up, within 1.5 units in the last place."""
    k = _constants()
    head, rest, reciprocal = k.log
    if not isinstance(x, np.ndarray):
        return _log_of_one(float(x))
    fraction, exponent = np.frexp(x)
    power = exponent.astype(np.float64)
    place = np.rint(fraction * PLACES)
    j = place.astype(np.int64)
    p = _log_series((fraction - place * (1 / PLACES)) * reciprocal[j])
    return (power * k.ln2[0] + head[j]) + (p + (power * k.ln2[1] + rest[j]))


def _log_of_one(x: float) -> float:
    k = _constants()
    fraction, power = math.frexp(x)
    j = round(fraction * PLACES)
    p = _log_series((fraction - j * (1 / PLACES)) * float(k.log[2][j]))
    # Of 1 / 2 and of 2 the parts cancel exactly, so that next to 1 nothing but the series is left.
    return (power * k.ln2[0] + float(k.log[0][j])) + (p + (power * k.ln2[1] + float(k.log[1][j])))


def _log_series(r: N) -> N:
    """``log(1 + r)`` for arguments up to 1/128 in size."""
    return r - (r * r) * (
        0.5 - r * (1 / 3 - r * (1 / 4 - r * (1 / 5 - r * (1 / 6 - r * (1 / 7 - r * (1 / 8))))))
    )


@overload
def power(x: float, y: float) -> float: ...
@overload
def power(x: Doubles, y: float) -> Doubles: ...
def power(x: Any, y: float) -> Any:
    """``x ** y`` for x from 0 up and y above 0.

    The relative error is within ``2.5 + 1.25 |y log x|`` units in the last place: one far below 1 is less
    exact than one near it, which in a sum of parts weighs nothing.
    """
    if not isinstance(x, np.ndarray):
        return _exp_of_one(y * _log_of_one(x)) if x > 0 else 0.0
    return exp(y * log(x))


@overload
def sin(x: float) -> float: ...
@overload
def sin(x: F) -> F: ...
def sin(x: Any) -> Any:
    """The sine, within 2.5 units in the last place for arguments up to 100,000 in size."""
    return _wave(x, 0)


@overload
def cos(x: float) -> float: ...
@overload
def cos(x: F) -> F: ...
def cos(x: Any) -> Any:
    """The cosine, within 2.5 units in the last place for arguments up to 100,000 in size."""
    return _wave(x, 1)


def sin_cos(x: Doubles) -> tuple[Doubles, Doubles]:
    """Sine and cosine of the same arguments, at little more than the price of one; see :func:`sin`."""
    k = _constants()
    steps = np.rint(x * k.turn)
    place = steps.astype(np.int64) & 63
    near = _near(_less(x, steps, k.part))
    sine, cosine, minus = k.sine[place], k.sine[place + 16], k.sine[place + 32]
    return _beside(near, sine, cosine), _beside(near, cosine, minus)


def _wave(x: Any, shift: int) -> Any:
    """The sine of ``x`` plus ``shift`` quarters of a turn."""
    k = _constants()
    if not isinstance(x, np.ndarray):
        x = float(x)
        n = round(x * k.turn)
        j = n + 16 * shift & 63
        return _beside(_near(_less(x, float(n), k.part)), float(k.sine[j]), float(k.sine[j + 16]))
    if x.dtype == np.float32:
        return single.wave(x, shift)
    steps = np.rint(x * k.turn)
    place = steps.astype(np.int64) + 16 * shift & 63
    return _beside(_near(_less(x, steps, k.part)), k.sine[place], k.sine[place + 16])


def _less(x: N, n: N, part: tuple[float, ...]) -> N:
    """``x`` less ``n`` steps of a 64th of a turn; the first two products are exact."""
    return ((x - n * part[0]) - n * part[1]) - n * part[2]


def _near(r: N) -> tuple[N, N]:
    """The sine of a small number, and by how much its cosine is below 1."""
    z = r * r
    up = r - r * z * (1 / 6 - z * (1 / 120 - z * (1 / 5040)))
    return up, z * (0.5 - z * (1 / 24 - z * (1 / 720 - z * (1 / 40320))))


def _beside(near: tuple[N, N], sine: N, cosine: N) -> N:
    """The sine at a small distance, see :func:`_near`, from where sine and cosine are known."""
    up, down = near
    return sine + (cosine * up - sine * down)


def arctan2(y: F, x: F) -> F:
    """The angle of the point (x, y), -pi to pi, within 2.5 units in the last place; 0 at the origin."""
    k = _constants()
    a, b = np.abs(x.astype(np.float64)), np.abs(y.astype(np.float64))
    large = np.maximum(a, b)
    t = np.minimum(a, b) / np.where(large > 0, large, 1.0)
    j = np.rint(t * 16).astype(np.int64)
    c = j / 16
    u = (t - c) / (1 + t * c)
    z = u * u
    angle = k.arctan[j] + u * (1 - z * (1 / 3 - z * (1 / 5 - z * (1 / 7 - z * (1 / 9 - z * (1 / 11))))))
    angle = np.where(b > a, np.pi / 2 - angle, angle)
    angle = np.where(x < 0, np.pi - angle, angle)
    return np.where(y < 0, -angle, angle).astype(x.dtype)
