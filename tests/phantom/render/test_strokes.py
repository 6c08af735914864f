"""Dots, curves and bands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom.render.raster import EDGE, Grid
from g2d_bench.phantom.render.strokes import CLASSES, Ink, classes, effective, ribbons, splat, spline

Values = NDArray[np.float64]


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


def test_classes_hold_each_mark_that_is_seen_once() -> None:
    rng = np.random.default_rng(4)
    reach = np.ceil(rng.uniform(0.1, 60, 500)).astype(np.float32)
    seen = rng.random(500) < 0.8
    order, groups = classes(reach, seen)
    assert sorted(order.tolist()) == np.flatnonzero(seen).tolist()
    assert [here.start for _, here in groups] == [0, *(here.stop for _, here in groups)][:-1]
    assert groups[-1][1].stop == len(order)
    for high, here in groups:
        low = next(low for low, top in CLASSES if top == high)
        assert np.all((reach[order[here]] > low) & (reach[order[here]] <= high))
        assert np.all(np.diff(order[here]) > 0)


def beads_of_one(points: Values, sigma: Values, height: Values, size: int) -> Values:
    """The dots of one polyline, written plainly."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    spacing = 1.7 * float(effective(float(sigma.min()), size)) / size
    count = max(2, int(np.ceil(length[-1] / spacing)) + 1)
    at = np.linspace(0.0, length[-1], count)
    x, y, wide, high = (np.interp(at, length, part) for part in (*points.T, sigma, height))
    step = max(length[-1] / (count - 1), 1e-6)
    return np.stack([x, y, wide, high * step / (np.sqrt(2 * np.pi) * wide)])


def test_curves_are_strung_as_one_by_one() -> None:
    rng = np.random.default_rng(5)
    ink, expected = Ink(96), []
    for number in range(12):
        points = np.cumsum(rng.normal(0, 0.05, (int(rng.integers(2, 9)), 2)), axis=0)
        points[:, 1] += 0.5
        if number == 3:
            # Points that fall together, and a line without length.
            points = np.repeat(points[:1], 4, axis=0)
        elif number == 5:
            points = np.repeat(points, 2, axis=0)
        points = points.astype(np.float32).astype(np.float64)
        sigma, height = rng.uniform(0.002, 0.01, len(points)), rng.uniform(0.1, 1, len(points))
        if number % 2:
            ink.curve(points, sigma, height)
        else:
            sigma, height = np.full(len(points), 0.004), np.full(len(points), 0.3)
            ink.curve(points, 0.004, 0.3)
        expected.append(beads_of_one(points, sigma, height, 96))
    grid = Grid.full(96)
    whole = splat(grid, *np.concatenate(expected, axis=1).astype(np.float32))
    drawn = ink.draw(grid)
    assert drawn.max() > 0.2
    assert np.abs(drawn - whole).max() < 2e-4


def test_dots_take_numbers_and_arrays() -> None:
    grid = Grid.full(64)
    one, other = Ink(64), Ink(64)
    x, y = np.array([[-0.1, 0.2], [0.3, 0.0]]), np.array([[0.4, 0.5], [0.6, 0.7]])
    one.dots(x, y, 0.01, 0.5)
    one.dots(0.1, 0.9, 0.02, 0.25)
    for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True):
        other.dots(a, b, 0.01, 0.5)
    other.dots(np.array([0.1]), 0.9, 0.02, 0.25)
    assert one.draw(grid).max() > 0.3
    assert np.array_equal(one.draw(grid), other.draw(grid))


def test_no_ink_draws_nothing() -> None:
    assert not Ink(64).draw(Grid.full(64)).any()


def test_spline_goes_through_its_points_as_catmull_and_rom_have_it() -> None:
    points = [(0.1, 0.2), (0.3, 0.1), (0.35, 0.6), (0.0, 0.9)]
    curve = spline(points, 31)
    assert np.allclose(curve[::10], points, atol=1e-12)
    p = np.array([(2 * 0.1 - 0.3, 2 * 0.2 - 0.1), *points, (2 * 0.0 - 0.35, 2 * 0.9 - 0.6)])
    basis = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
    for number in range(30):
        piece, f = divmod(number / 10, 1)
        expected = f ** np.arange(4) @ basis @ p[int(piece) : int(piece) + 4]
        assert np.allclose(curve[number], expected, atol=1e-12)


def test_ribbons_equal_a_plain_loop() -> None:
    size = 64
    columns = (np.arange(size) + 0.5) / size - 0.5
    yc = np.stack([0.3 + 0.4 * columns, 0.7 - 0.8 * columns**2])
    half, weight = np.full(yc.shape, 0.03), np.where(np.abs(columns) < 0.4, 0.5, 0.0) * np.ones((2, 1))
    rim = np.array([0.5, 0.2])
    arrays = [a.astype(np.float32) for a in (columns, yc, half, weight, rim)]
    drawn = ribbons(Grid.full(size), *arrays)
    expected = np.zeros((size, size))
    middles = (np.arange(size) + 0.5) / size
    for line, wide, dense, edge in zip(yc, half, weight, rim, strict=True):
        stretch = np.sqrt(1 + (np.gradient(line) * size) ** 2)
        distance = np.abs(middles[:, None] - line) / stretch
        ratio = distance / wide
        tube = 0.55 + 0.45 * np.sqrt(np.clip(1 - ratio**2, 0, 1))
        tube += np.exp(-(((ratio - 0.8) / 0.22) ** 2)) * edge
        expected += np.clip((wide - distance) / EDGE + 0.5, 0, 1) * tube * dense
    assert expected.max() > 0.4
    assert np.abs(drawn - expected).max() < 1e-4
