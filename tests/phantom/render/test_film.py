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
            healthy, technique=replace(healthy.technique, collimation=(0.05,) * 4, marker="L", noise=0.03)
        ),
        SIZE,
    )
    assert framed.image[:4].max() < 20
    assert framed.image[:, :4].max() < 20
    # The letter lies on the patient's left.
    assert framed.image[8:30, 95:].max() > plain.image[8:30, 95:].max() + 25
    assert np.std(framed.image[100:, 60:68].astype(float)) > np.std(plain.image[100:, 60:68].astype(float))
