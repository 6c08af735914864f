"""Sums and straight lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours


def test_straight_lines_between_samples() -> None:
    x, values = np.array([0.0, 1, 1, 4]), np.array([[0.0, 2, 3, 0], [1, 1, 1, 1]])
    at = np.array([-1, 0, 0.5, 1, 2, 4, 9.0])
    np.testing.assert_allclose(ours.interpolate(at, x, values), [[0, 0, 1, 3, 2, 0, 0], [1] * 7])
    np.testing.assert_array_equal(ours.interpolate(at, x, values[0]), ours.interpolate(at, x, values)[0])


def test_sums_run_from_the_first_to_the_last() -> None:
    assert ours.total([1e16, 1.0, -1e16, 1.0]) == 1.0


def test_lengths_and_powers_against_plain_formulas() -> None:
    x, y = np.array([3.0, 0.0, -5.0]), np.array([4.0, 0.0, 12.0])
    np.testing.assert_array_equal(ours.hypot(x, y), [5, 0, 13])
    assert ours.hypot(x.astype(np.float32), y.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(ours.cube(x), [27, 0, -125])
    assert ours.square(-3.0) == 9.0
    np.testing.assert_allclose(ours.even(-1, 2, 7), np.linspace(-1, 2, 7), rtol=0, atol=1e-15)
    assert ours.even(0, 0.3, 4)[-1] == 0.3
    assert ours.deviation(np.array([[1.0, 3.0], [5.0, 7.0]])) == pytest.approx(np.std([1, 3, 5, 7]))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_slopes_are_numpys(kind: type) -> None:
    values: NDArray[Any] = np.random.default_rng(3).normal(size=(3, 50)).astype(kind)
    for step in (1.0, 1 / 230):
        own = ours.slope(values, step)
        assert own.dtype == kind
        np.testing.assert_array_equal(own, np.gradient(values, step, axis=-1))


def test_sums_between_edges_are_differences_of_running_sums() -> None:
    values = np.random.default_rng(3).normal(size=(40, 7))
    edges = np.array([0, 1, 9, 20, 40])
    run = np.concatenate([np.zeros((1, 7)), np.cumsum(values, axis=0)])
    np.testing.assert_array_equal(ours.sums_between(values, edges), np.diff(run[edges], axis=0))


def test_bounds_hold_for_one_number_as_for_many() -> None:
    values = np.array([-2.0, -0.0, 0.25, 1.0, 3.0])
    np.testing.assert_array_equal(ours.between(values, 0.0, 1.0), np.clip(values, 0, 1))
    assert [ours.between(value, 0.0, 1.0) for value in values.tolist()] == [0, 0, 0.25, 1, 1]
    assert ours.between(3.5, -np.inf, 4.0) == 3.5
