"""Shapes on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.phantom.render.raster import Grid, Ink, cover, disc, noise, splat
from g2d_bench.phantom.seeds import stream


@pytest.mark.parametrize("sigma", [0.0008, 0.004, 0.02])
def test_splat_equals_a_plain_loop(sigma: float) -> None:
    grid = Grid(64, slice(8, 60), slice(4, 50))
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-0.6, 0.6, 30), rng.uniform(-0.1, 1.1, 30)
    weight = rng.uniform(0.1, 1, 30)
    expected = np.zeros(grid.shape)
    wide = np.sqrt((sigma * 64) ** 2 + 0.2)
    for cx, cy, w in zip(x, y, weight, strict=True):
        dx = (np.arange(4, 50) + 0.5) - (cx + 0.5) * 64
        dy = (np.arange(8, 60) + 0.5) - cy * 64
        dot = np.exp(-0.5 * (dx[None] ** 2 + dy[:, None] ** 2) / wide**2)
        expected += w * (sigma * 64 / wide) ** 2 * dot
    arrays = (np.asarray(a, np.float32) for a in (x, y, np.full(30, sigma), weight))
    drawn = splat(grid, *arrays)
    # Dots are cut off at 2.5 standard deviations.
    assert np.abs(drawn - expected).max() < 0.06 * max(expected.max(), 1e-3)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_curve_keeps_its_density_at_any_size(size: int) -> None:
    ink = Ink(size)
    ink.curve(np.array([[-0.4, 0.5], [0.4, 0.5]]), 0.012, 0.5)
    drawn = ink.draw(Grid.full(size))
    across = drawn[:, size // 4 : 3 * size // 4].sum(0) / size
    assert np.allclose(across, 0.5 * np.sqrt(2 * np.pi) * 0.012, rtol=0.03)


def test_coverage_is_a_ramp_around_the_edge() -> None:
    grid = Grid.full(256)
    inside = cover((1 - disc(grid, 0.0, 0.5, 0.25, 0.25)) * np.float32(0.25))
    assert inside.min() == 0
    assert inside.max() == 1
    assert inside.mean() == pytest.approx(np.pi / 16, rel=0.005)


def test_noise_is_one_texture_at_all_sizes() -> None:
    windows = [noise(Grid.full(size), "cloud", stream("w")) for size in (64, 256)]
    coarse = windows[1].reshape(64, 4, 64, 4).mean((1, 3))
    assert np.corrcoef(coarse.ravel(), windows[0].ravel())[0, 1] > 0.97
    assert 0.5 < windows[1].std() < 1.5
