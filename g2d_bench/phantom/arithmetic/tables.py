"""Constants and tables from decimal arithmetic: correctly rounded on every machine, no list to mistype."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
DIGITS = 60
"""Decimal digits that are carried; a double holds 17."""


def split(value: Decimal, *bits: int, over: int = 1) -> tuple[float, ...]:
    """Split a number, divided by ``over``, into doubles.

    Each of the first is so many bits long; the last is the rounded rest.
    """
    parts = []
    with localcontext(Context(prec=DIGITS)):
        value /= over
        for width in bits:
            head = float(value)
            grid = 2.0 ** (np.frexp(head)[1] - width)
            part = float(np.rint(head / grid) * grid)
            parts.append(part)
            value -= Decimal(part)
        return (*parts, float(value))


@cache
def ln2() -> Decimal:
    """The natural logarithm of 2."""
    return Decimal(2).ln(Context(prec=DIGITS))


@cache
def pi() -> Decimal:
    """Pi, by Machin's formula."""
    with localcontext(Context(prec=DIGITS + 5)):
        return 16 * _arctan(Decimal(1) / 5) - 4 * _arctan(Decimal(1) / 239)


def _arctan(t: Decimal) -> Decimal:
    """The series of the inverse tangent; for ``t`` up to one half."""
    total, power, n = Decimal(0), t, 1
    while abs(power) > Decimal(10) ** -(DIGITS + 5):
        total += power / n if n % 4 == 1 else -power / n
        power *= t * t
        n += 2
    return total


@cache
def powers_of_two(count: int) -> tuple[Values, Values]:
    """``2 ** (j / count)`` for j below ``count``, as a double and the rest that it leaves."""
    with localcontext(Context(prec=DIGITS)):
        pairs = [split((ln2() * j / count).exp(), 53) for j in range(count)]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


@cache
def logarithms(count: int) -> tuple[Values, Values, Values]:
    """For j up to ``count``: the logarithm of ``j / count`` in two parts, one of 40 bits, and the reciprocal.

    For j = 0 minus infinity, 0 and 0.
    """
    with localcontext(Context(prec=DIGITS)):
        pairs = [(-np.inf, 0.0)] + [split((Decimal(j) / count).ln(), 40) for j in range(1, count + 1)]
    reciprocals = [0.0] + [count / j for j in range(1, count + 1)]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), np.array(reciprocals)


@cache
def sines(count: int) -> Values:
    """The sines of 0, 1, 2, ... 64ths of a turn."""
    values = []
    with localcontext(Context(prec=DIGITS + 5)):
        for j in range(count):
            # The nearest multiple of half a turn is taken off, so that the zeros are exact.
            half, rest = (j + 16) // 32, (j + 16) % 32 - 16
            angle = pi() * rest / 32
            sine, power, n = Decimal(0), angle, 1
            while abs(power) > Decimal(10) ** -(DIGITS + 5):
                sine += power if n % 4 == 1 else -power
                power *= angle * angle / ((n + 1) * (n + 2))
                n += 2
            values.append(float(-sine if half % 2 else sine))
    return np.array(values)


@cache
def arctangents(count: int) -> Values:
    """The inverse tangents of ``j / count`` for j up to ``count``."""
    with localcontext(Context(prec=DIGITS + 5)):
        # Twice the angle whose tangent is t / (1 + sqrt(1 + t^2)), which is below one half.
        tangents = [Decimal(j) / count for j in range(count + 1)]
        return np.array([float(2 * _arctan(t / (1 + (1 + t * t).sqrt()))) for t in tangents])


class Ziggurat(NamedTuple):
    """256 strips of equal area under a falling density (Marsaglia and Tsang, 2000); strip 0 has the tail.

    Attributes:
        edge: where the tail begins.
        width: of each strip, per step of a draw, then all of them negative; shape [512]; single precision for
            draws of up to 24 bits.
        inner: draws below this count as under the density without a second look; shape [256].
        height: density at the outer end of each strip; shape [256], of the type of the widths.
    """

    edge: float
    width: NDArray[Any]
    inner: NDArray[Any]
    height: NDArray[Any]


def _strips(
    edge: Decimal,
    area: Decimal,
    density: Callable[[Decimal], Decimal],
    inverse: Callable[[Decimal], Decimal],
    bits: int,
) -> Ziggurat:
    ends = [area / density(edge), edge]
    while len(ends) < 256:
        ends.append(inverse(area / ends[-1] + density(ends[-1])))
    ends.append(Decimal(0))
    # Strip 0 is the base with the tail; then from the narrowest strip to the widest.
    outer = [ends[0], *reversed(ends[1:256])]
    before = [ends[1], *reversed(ends[2:257])]
    kind, whole = (np.float32, np.uint32) if bits <= 24 else (np.float64, np.uint64)
    return Ziggurat(
        edge=float(edge),
        width=np.array([sign * float(x / 2**bits) for sign in (1, -1) for x in outer], kind),
        inner=np.array([round(b / x * 2**bits) for b, x in zip(before, outer, strict=True)], whole),
        height=np.array([1.0, *(float(density(x)) for x in outer[1:])], kind),
    )


@cache
def normal_strips(bits: int) -> Ziggurat:
    """The strips of the standard normal density for draws of so many bits."""
    with localcontext(Context(prec=DIGITS)):
        edge = Decimal("3.6541528853610087963519472518")
        # The tail's area as a continued fraction, exp(-x^2/2) / (x + 1/(x + 2/(x + ...))).
        fraction = edge
        for n in range(400, 0, -1):
            fraction = edge + n / fraction
        bottom = (-edge * edge / 2).exp()
        return _strips(
            edge,
            edge * bottom + bottom / fraction,
            lambda x: (-x * x / 2).exp(),
            lambda y: (-2 * y.ln()).sqrt() if y < 1 else Decimal(0),
            bits,
        )


@cache
def exponential_strips(bits: int) -> Ziggurat:
    """The strips of the standard exponential density for draws of so many bits."""
    with localcontext(Context(prec=DIGITS)):
        edge = Decimal("7.69711747013104972")
        bottom = (-edge).exp()
        return _strips(
            edge,
            edge * bottom + bottom,
            lambda x: (-x).exp(),
            lambda y: -y.ln() if y < 1 else Decimal(0),
            bits,
        )
