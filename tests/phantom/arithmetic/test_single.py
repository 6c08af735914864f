"""Functions of single precision."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours
from g2d_bench.phantom.arithmetic import single

RNG = np.random.default_rng(7)
Singles = NDArray[np.float32]
MANY = 20_000
WIDE = np.finfo(np.longdouble).nmant > 60
needs_wide = pytest.mark.skipif(not WIDE, reason="long doubles are no wider than doubles here")


def units(values: NDArray[Any], truth: NDArray[np.longdouble]) -> float:
    """Largest error in units in the last place of the truth."""
    place = np.spacing(np.abs(truth.astype(values.dtype))).astype(np.longdouble)
    return float(np.max(np.abs(values.astype(np.longdouble) - truth) / place))


@needs_wide
def test_functions_of_singles_are_close_to_the_truth() -> None:
    x = RNG.uniform(-86, 87, MANY).astype(np.float32)
    assert units(ours.exp(x), np.exp(x.astype(np.longdouble))) < 2.6
    x = RNG.uniform(-30, 30, MANY).astype(np.float32)
    for own, true in ((ours.sin, np.sin), (ours.cos, np.cos)):
        error = own(x).astype(np.longdouble) - true(x.astype(np.longdouble))
        assert float(np.max(np.abs(error))) < 2**-23
    x = RNG.uniform(-3, 3, MANY).astype(np.float32)
    assert units(ours.cube(x), x.astype(np.longdouble) ** 3) < 0.51


def test_the_exponential_leaves_its_range_at_the_bounds() -> None:
    x = np.array([[-np.inf, -87.5, -87.0], [88.0, 88.5, np.inf]], np.float32)
    np.testing.assert_allclose(
        ours.exp(x), [[0, 0, 1.6458114e-38], [1.6516363e38, np.inf, np.inf]], rtol=1e-6
    )
    assert ours.exp(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_the_exponential_is_numpys_or_step_by_step_with_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = RNG.uniform(-87, 88, (40, 5_000)).astype(np.float32)[:, ::2]
    usual = ours.exp(x)
    for agrees in (True, False) if single.numpy_agrees() else (False,):
        monkeypatch.setattr(single, "numpy_agrees", lambda agrees=agrees: agrees)
        np.testing.assert_array_equal(ours.exp(x), usual)


def fused(a: float | np.float32, b: float | np.float32, c: float | np.float32) -> np.float32:
    """``a * b + c`` from exact fractions, rounded once to single precision, ties to even."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))
    around = (np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf)))
    nearest: np.float32 = min(
        around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.int32)) & 1)
    )
    return nearest


def test_the_exponential_is_a_chain_of_fused_products() -> None:
    rng = np.random.default_rng(11)
    # The first six are off by one place if the very first product is left unrounded.
    hard = [-1109201789, -1106163258, -1105401669, -1104783665, 1050994581, 1116613731]
    x: Singles = np.concatenate([np.array(hard, np.int32).view(np.float32), rng.uniform(-86, 87, 300)])
    x = x.astype(np.float32)
    p, q = ([float(c) for c in row] for row in (single.P, single.Q))
    for argument, value in zip(x, single.exp_by_steps(x), strict=True):
        whole = np.rint(argument * np.float32(1.4426950408889634))
        r = fused(whole, float(single.LOW), fused(whole, float(single.HIGH), argument))
        above, below = np.float32(p[5]), np.float32(q[2])
        for c in p[4::-1]:
            above = fused(above, r, c)
        for c in q[1::-1]:
            below = fused(below, r, c)
        assert value == np.ldexp(above / below, int(whole))


def test_an_exponential_of_other_bits_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.exp
    monkeypatch.setattr(np, "exp", lambda x: exact(x.astype(np.float64)).astype(np.float32))
    assert not single.numpy_agrees.__wrapped__()


@pytest.mark.slow
@pytest.mark.skipif(not single.numpy_agrees(), reason="numpy's exponential is another one here")
def test_every_argument_of_the_exponential_gives_numpys_bits() -> None:
    compared = 0
    for sign, most in ((1 << 31, 87.0), (0, 88.0)):
        end = int(np.float32(most).view(np.uint32)) + 1
        for start in range(0, end, 1 << 22):
            bits = np.arange(start, min(start + (1 << 22), end), dtype=np.uint32) | np.uint32(sign)
            x = bits.view(np.float32)
            assert np.array_equal(single.exp_by_steps(x), np.exp(x))
            compared += len(x)
    assert compared > 2_237_000_000
