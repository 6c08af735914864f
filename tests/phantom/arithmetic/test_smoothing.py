"""Blur and splines, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours

Doubles = NDArray[np.float64]
RNG = np.random.default_rng(7)


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


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_blur_of_a_picture_smaller_than_its_window_is_scipys(axis: int, mirror: bool) -> None:
    from scipy.ndimage import gaussian_filter1d

    image = np.random.default_rng(2).normal(size=(5, 7))
    theirs = gaussian_filter1d(image, 3.0, axis, mode="reflect" if mirror else "nearest")
    np.testing.assert_allclose(ours.gaussian(image, 3.0, axis, mirror=mirror), theirs, atol=1e-12)
