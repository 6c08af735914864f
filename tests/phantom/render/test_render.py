"""Pixels and masks: determinism, scale, and that findings look like what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from g2d_bench.phantom import Phantom, Scene, realise

SIZE = 128


@pytest.mark.parametrize("decoy", ["skin fold", "companion shadow", "nipple", "overlap"])
def test_look_alikes_change_pixels_but_no_mask(
    healthy: Scene, decoy: str, draw: Callable[..., Phantom]
) -> None:
    plain = draw(healthy)
    picture = realise(replace(healthy, decoys=(decoy,)), SIZE)
    assert not picture.masks
    assert np.abs(picture.image.astype(int) - plain.image).max() >= 3
