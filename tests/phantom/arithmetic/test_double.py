"""The phantom's own functions: close to the truth, the same for one number and many, and fixed to the bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours
from g2d_bench.phantom.arithmetic import tables
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


def test_tables_are_rounded_once() -> None:
    assert tables.split(tables.pi(), 33, 33)[0] == math.floor(math.pi * 2**31) / 2**31
    assert float(tables.pi()) == math.pi
    assert float(tables.ln2()) == math.log(2)
    head, rest = tables.powers_of_two(64)
    with localcontext(Context(prec=50)):
        for j in (1, 17, 63):
            truth = Decimal(2) ** (Decimal(j) / 64)
            assert abs(Decimal(float(head[j])) + Decimal(float(rest[j])) - truth) < Decimal(2) ** -104


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


@pytest.mark.parametrize("count", [1, 3, 84, 20_000])
def test_normal_numbers_are_those_of_numpy(count: int) -> None:
    for key in range(40):
        own, theirs = Stream(key), np.random.Generator(np.random.Philox(key=key))
        np.testing.assert_allclose(own.normal(size=count), theirs.normal(size=count), rtol=0, atol=1e-13)
        # As many words have been used up.
        assert own.random() == theirs.random()
        assert own.normal(2, 3) == pytest.approx(theirs.normal(2, 3), abs=1e-13)


def test_single_normal_numbers_are_those_of_numpy() -> None:
    far = 0.0
    for key in range(30):
        own = Stream(key).normal_singles((128, 128))
        theirs = np.random.Generator(np.random.Philox(key=key)).standard_normal((128, 128), np.float32)
        np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-6)
        far = max(far, float(np.abs(own).max()))
    assert far > 3.66, "no number beyond the last strip was drawn"


def test_other_draws_are_those_of_numpy() -> None:
    own, theirs = Stream(5), np.random.Generator(np.random.Philox(key=5))
    for _ in range(2000):
        assert own.beta(1.6, 2.2) == pytest.approx(theirs.beta(1.6, 2.2), abs=1e-13)
        assert own.beta(2.4, 1.0) == pytest.approx(theirs.beta(2.4, 1.0), abs=1e-13)
        assert own.geometric(0.45) == theirs.geometric(0.45)
        assert own.uniform(2, 5) == theirs.uniform(2, 5)
        assert own.choice("abcde") == str(theirs.choice(list("abcde")))


@pytest.mark.parametrize("sigma", [0.41, 0.8, 6.7])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_blur_is_scipys(sigma: float, axis: int) -> None:
    from scipy.ndimage import gaussian_filter1d

    image = RNG.normal(size=(60, 50))
    for mirror, mode in ((True, "reflect"), (False, "nearest")):
        np.testing.assert_allclose(
            ours.gaussian(image, sigma, axis, mirror=mirror),
            gaussian_filter1d(image, sigma, axis=axis, mode=mode),
            atol=1e-14,
        )


def test_the_spline_is_scipys() -> None:
    from scipy.ndimage import map_coordinates, spline_filter

    values: Doubles = RNG.normal(size=(16, 16))
    at: Doubles = np.arange(-4, 124) / 8
    rows, columns = np.meshgrid(at, at, indexing="ij")
    truth: Doubles = map_coordinates(
        spline_filter(values, order=3, mode="grid-wrap"),
        [rows, columns],
        order=3,
        mode="grid-wrap",
        prefilter=False,
    )
    np.testing.assert_allclose(ours.periodic_spline(values, at), truth, atol=1e-12)


def test_straight_lines_between_samples() -> None:
    x, values = np.array([0.0, 1, 1, 4]), np.array([[0.0, 2, 3, 0], [1, 1, 1, 1]])
    at = np.array([-1, 0, 0.5, 1, 2, 4, 9.0])
    np.testing.assert_allclose(ours.interpolate(at, x, values), [[0, 0, 1, 3, 2, 0, 0], [1] * 7])
    np.testing.assert_array_equal(ours.interpolate(at, x, values[0]), ours.interpolate(at, x, values)[0])


def test_sums_run_from_the_first_to_the_last() -> None:
    assert ours.total([1e16, 1.0, -1e16, 1.0]) == 1.0
