"""Exponential, sine and cosine in single precision, bit for bit those of a fused multiply-add.

They are the approximations that numpy evaluates in vector registers where the processor can fuse a product
with a sum; there the generated radiographs were first made. The coefficients are numpy's (BSD licence).
Each fused step is written out in double precision, where the product of two singles is exact, and then
rounded to single; so it comes out alike on a processor that cannot fuse. Where numpy's own exponential is
found to give these bits, it is taken: it is ten times as fast.
"""

from __future__ import annotations

import threading
from functools import cache

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
BLOCK = 16384
"""Elements at a time: the temporary arrays stay in the cache."""
LEAST, MOST = -87.0, 88.0
"""Below the first the result is 0, above the second infinite: whole exponents of normal numbers."""


def _single(value: float) -> NDArray[np.float64]:
    """A double of single precision; an array without axes, which numpy takes at once, other than a number."""
    return np.array(np.float32(value), np.float64)


LOG2E = np.array(1.4426950408889634, np.float32)
# -ln 2 in two parts, the first so short that its product with a whole exponent is exact.
HIGH, LOW = _single(-6.93145752e-1), _single(-1.42860677e-6)
P = [
    _single(c)
    for c in (
        9.999999999980870924916e-01,
        7.257664613233124478488e-01,
        2.473615434895520810817e-01,
        5.114512081637298353406e-02,
        6.757896990527504603057e-03,
        5.082762527590693718096e-04,
    )
]
"""Numerator, from the constant up."""
Q = [_single(c) for c in (1.0, -2.742335390411667452936e-01, 2.159509375685829852307e-02)]
"""Denominator, from the constant up."""
WHOLE = np.array(1.5 * 2**23, np.float32)
"""Adding and taking it away rounds a single to a whole number."""


def _grid(exponent: int) -> NDArray[np.float64]:
    """A double that rounds to singles of ``2 ** exponent`` up to twice that, when added and taken away."""
    return np.array(1.5 * 2.0 ** (29 + exponent))


# Partial sums that never leave one power of two are rounded by such a number; the others by conversion.
G4, G3, G1, GQ = _grid(-8), _grid(-5), _grid(-1), _grid(-2)
P4, P3, P1, Q1 = np.array(P[4] + G4), np.array(P[3] + G3), np.array(P[1] + G1), np.array(Q[1] + GQ)
SHIFT = np.array(23, np.int32)


class _Room(threading.local):
    """Arrays that every call would have to ask for anew; each thread has its own."""

    def __init__(self) -> None:
        self.doubles = [np.empty(BLOCK, np.float64) for _ in range(3)]
        self.singles = [np.empty(BLOCK, np.float32) for _ in range(3)]


_ROOM = _Room()


def exp(x: Singles) -> Singles:
    """The exponential, within 2.6 units in the last place.

    Args:
        x: any shape, no NaN.

    Returns:
        The same shape; 0 below -87, infinite above 88.
    """
    if not x.size:
        return np.empty(x.shape, np.float32)
    below, above = float(x.min()) < LEAST, float(x.max()) > MOST
    inside = x.clip(LEAST, MOST) if below or above else x
    result: Singles = np.exp(inside) if numpy_agrees() else exp_by_steps(inside)
    if below:
        result[x < LEAST] = 0
    if above:
        result[x > MOST] = np.inf
    return result


@cache
def numpy_agrees() -> bool:
    """Whether numpy's own exponential gives these bits on this processor.

    It does where numpy evaluates the approximation above with fused products, and then for every argument
    from -87 to 88. Any other rounds one argument in ten or so another way, so that a few thousand tell.
    """
    probe = np.linspace(LEAST, MOST, 8001, dtype=np.float32)
    return bool(np.array_equal(np.exp(probe), exp_by_steps(probe)))


def exp_by_steps(x: Singles) -> Singles:
    """The exponential of numbers from -87 to 88, shape kept; every step written out."""
    x = np.ascontiguousarray(x)
    result = np.empty(x.shape, np.float32)
    source, target = x.reshape(-1), result.reshape(-1)
    for start in range(0, source.size, BLOCK):
        part = source[start : start + BLOCK]
        n = len(part)
        doubles, singles = [a[:n] for a in _ROOM.doubles], [a[:n] for a in _ROOM.singles]
        _block(part, target[start : start + n], doubles, singles)
    return result


def _block(x: Singles, out: Singles, doubles: list[NDArray[np.float64]], singles: list[Singles]) -> None:
    r, t, u = doubles
    whole, room, scale = singles
    np.multiply(x, LOG2E, out=whole)
    np.add(whole, WHOLE, out=whole)
    # The last bits of the sum are the whole exponent; moved up, they are that of the result.
    exponent = scale.view(np.int32)
    np.left_shift(whole.view(np.int32), SHIFT, out=exponent)
    np.subtract(whole, WHOLE, out=whole)
    np.copyto(r, x)
    np.copyto(t, whole)
    np.multiply(t, HIGH, out=u)
    np.add(r, u, out=r)
    np.multiply(t, LOW, out=t)
    np.add(r, t, out=r)
    _round(r, room)
    np.multiply(r, P[5], out=t)
    np.add(t, P4, out=t)
    np.subtract(t, G4, out=t)
    np.multiply(t, r, out=t)
    np.add(t, P3, out=t)
    np.subtract(t, G3, out=t)
    np.multiply(t, r, out=t)
    np.add(t, P[2], out=t)
    _round(t, room)
    np.multiply(t, r, out=t)
    np.add(t, P1, out=t)
    np.subtract(t, G1, out=t)
    np.multiply(t, r, out=t)
    np.add(t, P[0], out=out, casting="same_kind")
    np.multiply(r, Q[2], out=t)
    np.add(t, Q1, out=t)
    np.subtract(t, GQ, out=t)
    np.multiply(t, r, out=t)
    np.add(t, Q[0], out=room, casting="same_kind")
    np.divide(out, room, out=out)
    bits = out.view(np.int32)
    np.add(bits, exponent, out=bits)


def _round(value: NDArray[np.float64], room: Singles) -> None:
    """Round doubles to single precision, in place."""
    np.copyto(room, value, casting="same_kind")
    np.copyto(value, room)


TURN = np.float32(0.6366197723675814)
"""Quarters of a turn in one radian."""
# Minus a quarter of a turn in three parts; then the series of sine and cosine in the square of the angle,
# from the highest power down.
QUARTER = [float.fromhex(c) for c in ("-0x1.921fb0p+00", "-0x1.5110b4p-22", "-0x1.846988p-48")]
SINE = [
    float.fromhex(c)
    for c in ("0x1.7d3bbcp-19", "-0x1.a06bbap-13", "0x1.11119ap-07", "-0x1.555556p-03", "0x0p+00")
]
COSINE = [
    float.fromhex(c) for c in ("0x1.98e616p-16", "-0x1.6c06dcp-10", "0x1.55553cp-05", "-0x1p-01", "0x1p+00")
]


def wave(x: Singles, shift: int) -> Singles:
    """The sine of ``x`` plus ``shift`` quarters of a turn, within 2.5 units in the last place up to 1,000."""
    turns = np.rint(x * TURN)
    r = x
    for part in QUARTER:
        r = _fused(turns, part, r)
    z = r * r
    sine = _fused(_series(SINE, z), r, r)
    place = turns.astype(np.int64) + shift
    value = np.where(place & 1, _series(COSINE, z), sine)
    return np.where(place & 2, -value, value)


def _series(coefficients: list[float], z: Singles) -> Singles:
    result = np.full_like(z, coefficients[0])
    for c in coefficients[1:]:
        result = _fused(result, z, c)
    return result


def _fused(a: Singles, b: Singles | float, c: Singles | float) -> Singles:
    """``a * b + c``, rounded to single precision at the end."""
    wide = a.astype(np.float64) * b
    wide += c
    return wide.astype(np.float32)
