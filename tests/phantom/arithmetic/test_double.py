"""The phantom's own functions: close to the truth, the same for one number and many, and fixed to the bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours
from g2d_bench.phantom.seeds import Stream

Doubles = NDArray[np.float64]
RNG = np.random.default_rng(7)
MANY = 20_000
WIDE = np.finfo(np.longdouble).nmant > 60
needs_wide = pytest.mark.skipif(not WIDE, reason="long doubles are no wider than doubles here")


def units(values: NDArray[Any], truth: NDArray[np.longdouble]) -> float:
    """Largest error in units in the last place of the truth."""
    place = np.spacing(np.abs(truth.astype(values.dtype))).astype(np.longdouble)
    return float(np.max(np.abs(values.astype(np.longdouble) - truth) / place))


ANGLES = np.concatenate(
    [
        RNG.uniform(-50, 50, MANY),
        RNG.uniform(-1e4, 1e4, MANY),
        # Next to every multiple of an eighth of a turn, where parts cancel.
        (np.arange(-400, 401) * np.pi / 4)[:, None].repeat(3, 1).ravel()
        * (1 + np.tile([-1e-16, 0, 1e-16], 801)),
        [0.0, 5e-324, 1e-300, 1e-8, -1e-8, np.pi, 2 * np.pi, 22.0, 355.0],
    ]
)
POSITIVE = np.concatenate(
    [
        np.exp(RNG.uniform(-700, 700, MANY)),
        RNG.uniform(0.5, 2, MANY),
        1 + RNG.uniform(-1e-8, 1e-8, MANY),
        [1.0, np.nextafter(1, 0), np.nextafter(1, 2), 0.5, 2.0, 5e-324, 2.2e-308, 1.7e308, 2**-0.5],
    ]
)
EXPONENTS = np.concatenate(
    [RNG.uniform(-700, 700, MANY), RNG.uniform(-1, 1, MANY), [0.0, -0.0, 1e-300, 709.7, -708.0, 1.0, -1.0]]
)
PLANE = RNG.normal(size=(2, MANY)) * np.exp(RNG.uniform(-20, 20, (2, MANY)))


@needs_wide
def test_functions_of_doubles_are_close_to_the_truth() -> None:
    wide = np.longdouble
    assert units(ours.exp(EXPONENTS), np.exp(EXPONENTS.astype(wide))) < 0.6
    assert units(ours.log(POSITIVE), np.log(POSITIVE.astype(wide))) < 1.5
    assert units(ours.sin(ANGLES), np.sin(ANGLES.astype(wide))) < 2.5
    assert units(ours.cos(ANGLES), np.cos(ANGLES.astype(wide))) < 2.5
    y, x = PLANE
    assert units(ours.arctan2(y, x), np.arctan2(y.astype(wide), x.astype(wide))) < 2.5
    assert units(ours.hypot(y, x), np.hypot(y.astype(wide), x.astype(wide))) < 1.1


@needs_wide
@pytest.mark.parametrize("exponent", [0.6, 0.85, 1 / 2.1, 1.3, 1.35, 1.7, 2.2, 2.4])
def test_powers_are_close_to_the_truth(exponent: float) -> None:
    x = np.concatenate([RNG.uniform(0, 1.5, MANY), np.exp(RNG.uniform(-120, 0, 1000)), [1.0, 1e-100]])
    truth = x.astype(np.longdouble) ** np.longdouble(exponent)
    allowed = 2.5 + 1.25 * np.abs(exponent * np.log(x))
    error = np.abs(ours.power(x, exponent).astype(np.longdouble) - truth) / np.spacing(
        truth.astype(np.float64)
    )
    assert float(np.max(error / allowed)) < 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_ends_of_the_exponential(kind: Any) -> None:
    x = np.array([-np.inf, -1e30, -800, 0, 800, 1e30, np.inf], kind)
    np.testing.assert_array_equal(ours.exp(x), np.array([0, 0, 0, 1, np.inf, np.inf, np.inf], kind))
    assert ours.exp(-np.inf) == 0
    assert ours.exp(1e9) == math.inf
    assert ours.log(0.0) == -math.inf


def test_powers_of_nought_and_one() -> None:
    np.testing.assert_array_equal(ours.power(np.array([0.0, 1.0]), 2.4), [0, 1])
    assert ours.power(0.0, 0.5) == 0
    assert ours.power(1.0, 0.6) == 1


def test_the_angle_of_a_point_in_every_quarter() -> None:
    y, x = np.array([0.0, 0.0, 1.0, -1.0, 1.0, -1.0, 0.0]), np.array([1.0, -1.0, 0.0, 0.0, 1.0, -1.0, 0.0])
    quarter = np.pi / 2
    expected = [0, np.pi, quarter, -quarter, quarter / 2, -3 * quarter / 2, 0]
    np.testing.assert_array_equal(ours.arctan2(y, x), expected)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (ours.exp, EXPONENTS[::40]),
        (ours.log, POSITIVE[::40]),
        (ours.sin, ANGLES[::40]),
        (ours.cos, ANGLES[::40]),
        (lambda x: ours.power(x, 1.7), POSITIVE[::40]),
    ],
)
def test_one_number_gives_the_bits_of_many(function: Callable[[Any], Any], values: Doubles) -> None:
    together = function(values)
    assert [function(value) for value in values.tolist()] == together.tolist()


def fixed(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


GRID = np.arange(-3000, 3001) / 256
BITS: dict[str, tuple[Callable[[], NDArray[Any]], str]] = {
    "exp": (lambda: ours.exp(GRID), "4b1da4e6857d2c91"),
    "exp, single": (lambda: ours.exp(GRID.astype(np.float32)), "f9de79c2d71cb117"),
    "log": (lambda: ours.log(np.abs(GRID) + 1 / 3), "d071d72c09e43c97"),
    "sin": (lambda: ours.sin(GRID), "1b80cca903dd4c5c"),
    "cos": (lambda: ours.cos(GRID), "2bc5ffc63fe5327d"),
    "cos, single": (lambda: ours.cos(GRID.astype(np.float32)), "7948c55ef2e2f2cb"),
    "power": (lambda: ours.power(np.abs(GRID), 1.7), "e0bea60ed6f4b0dc"),
    "arctan2": (lambda: ours.arctan2(GRID, GRID[::-1] + 1), "930d96f9ca2f134e"),
    "blur": (lambda: ours.gaussian(GRID[:6000].reshape(60, 100), 1.7, 1), "76ba29126a844e2e"),
    "spline": (
        lambda: ours.periodic_spline(GRID[:81].reshape(9, 9), GRID[3000:3040]),
        "18323d442de8336f",
    ),
    "deviation": (lambda: np.array([ours.deviation(GRID / 3)]), "02dff5930a59d84a"),
    "normal": (lambda: Stream(3).normal(size=5000), "682fc1ae8df45246"),
    "normal, single": (lambda: Stream(3).normal_singles((100, 100)), "63280f64685c4286"),
    "beta": (lambda: np.array([Stream(k).beta(2.4, 1.0) for k in range(500)]), "90270201c17220e6"),
    "geometric": (
        lambda: np.array([Stream(k).geometric(0.45) for k in range(500)], np.int64),
        "fc713ea85e15975b",
    ),
}


@pytest.mark.parametrize("name", BITS)
def test_the_bits_are_those_of_every_machine(name: str) -> None:
    make, digest = BITS[name]
    assert fixed(make()) == digest


def test_sine_and_cosine_together_are_those_of_one_by_one() -> None:
    sine, cosine = ours.sin_cos(GRID * 7)
    assert np.array_equal(sine, ours.sin(GRID * 7))
    assert np.array_equal(cosine, ours.cos(GRID * 7))
