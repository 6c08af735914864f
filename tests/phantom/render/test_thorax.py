"""The thorax as a whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom import Phantom, Scene

SIZE = 128


def test_looks_like_a_chest(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    picture = draw(healthy, size=256)
    image = picture.image.astype(float)
    lungs = picture.lungs["right"] | picture.lungs["left"]
    middle = round(256 * (0.5 + healthy.technique.shift[0]))
    assert 0.2 < lungs.mean() < 0.45
    assert image[lungs].mean() < 0.6 * image[150:200, middle - 6 : middle + 6].mean()
    assert image[240:, 100:156].mean() > 1.8 * image[lungs].mean()
    assert image[:12, :12].mean() < 15
    # The heart lies left of the midline: on the right of the image.
    assert picture.lungs["right"][:, :middle].sum() > picture.lungs["left"][:, middle:].sum()
    # Ribs are bright bands across the lung: its rows vary more than smooth tissue would.
    column = image[:, middle - 50][picture.lungs["right"][:, middle - 50]]
    assert np.abs(np.diff(column, 2)).mean() > 0.5
