"""Where findings are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom import Finding, Phantom, Scene

SIZE = 128


def test_same_anatomy_at_any_size(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    finding = Finding("Mass", "right", "mid", 0.7, False, "lobulated", 5)
    small, large = (draw(healthy, finding, size=size) for size in (128, 512))
    shrunk = large.image.reshape(128, 4, 128, 4).mean((1, 3))
    assert np.abs(shrunk - small.image).mean() < 4.0
    assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.99
    ratio = large.finding_masks[0].mean() / small.finding_masks[0].mean()
    assert 0.9 < ratio < 1.1
