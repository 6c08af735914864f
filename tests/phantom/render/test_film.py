"""The film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from g2d_bench.phantom import Phantom, Scene, realise

SIZE = 128


def test_view_decides_collimation_marker_and_noise(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    plain = draw(healthy)
    framed = realise(
        replace(
            healthy, technique=replace(healthy.technique, collimation=(0.05,) * 4, marker="L", noise=0.02)
        ),
        SIZE,
    )
    assert framed.image[:4].max() < 20
    assert framed.image[:, :4].max() < 20
    # The letter lies on the patient's left.
    brighter = framed.image[4:30].astype(int) - plain.image[4:30]
    assert (brighter[:, 95:124] > 40).sum() > 5
    assert (brighter[:, 4:60] > 40).sum() < 3
    assert np.std(framed.image[100:, 60:68].astype(float)) > np.std(plain.image[100:, 60:68].astype(float))
