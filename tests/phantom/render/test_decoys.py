"""Look-alikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from g2d_bench.phantom import Phantom, Scene, realise
from g2d_bench.phantom.render.decoys import DECOYS

SIZE = 128


@pytest.mark.parametrize("decoy", sorted(DECOYS))
def test_look_alikes_change_pixels_but_no_mask(
    healthy: Scene, decoy: str, draw: Callable[..., Phantom]
) -> None:
    plain = draw(healthy)
    picture = realise(replace(healthy, decoys=(decoy,)), SIZE)
    assert not picture.masks
    assert np.abs(picture.image.astype(int) - plain.image).max() >= 3


def test_most_differ_from_film_to_film(healthy: Scene) -> None:
    for decoy in ("skin fold", "cloth", "tubing", "braid", "arm"):
        images = [
            realise(replace(healthy, decoys=(decoy,), index=index), SIZE).image.astype(int)
            - realise(replace(healthy, index=index), SIZE).image
            for index in (0, 1)
        ]
        assert not np.array_equal(images[0], images[1])
