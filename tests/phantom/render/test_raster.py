"""Shapes on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.phantom.render.raster import Grid, cover, disc, noise
from g2d_bench.phantom.seeds import stream


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
