"""The film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from g2d_bench.phantom import Phantom, Scene, realise

SIZE = 128


def test_view_decides_collimation_marker_and_noise(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    # Grey tissue, on which a white letter shows.
    technique = replace(healthy.technique, look=replace(healthy.technique.look, white=0.5))
    plain = draw(replace(healthy, technique=technique))
    technique = replace(technique, collimation=(0.05,) * 4, marker="L", noise=0.02)
    framed = realise(replace(healthy, technique=technique), SIZE)
    assert framed.image[:4].max() < 20
    assert framed.image[:, :4].max() < 20
    # The letter lies on the patient's left.
    brighter = framed.image[4:30].astype(int) - plain.image[4:30]
    assert (brighter[:, 95:124] > 40).sum() > 5
    assert (brighter[:, 4:60] > 40).sum() < 3
    assert np.std(framed.image[100:, 60:68].astype(float)) > np.std(plain.image[100:, 60:68].astype(float))


def test_looks_change_greys_as_they_say(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    def mean_of(**look: Any) -> tuple[float, float]:
        technique = replace(healthy.technique, look=replace(healthy.technique.look, **look))
        picture = draw(replace(healthy, technique=technique))
        lungs = picture.lungs["right"] | picture.lungs["left"]
        return float(picture.image[lungs].mean()), float(picture.image[picture.heart].mean())

    lungs, heart = mean_of()
    flat_lungs, flat_heart = mean_of(equal=0.7)
    assert flat_heart - flat_lungs < 0.7 * (heart - lungs)
    assert mean_of(speed=2.5)[0] > lungs + 15
    assert mean_of(white=0.6)[1] < 0.7 * heart
    assert mean_of(black=0.3)[0] > lungs + 15


def test_films_that_are_not_square_are_cut_with_their_masks(healthy: Scene) -> None:
    technique = replace(healthy.technique, cut=(0.0, 0.1, 0.0, 0.1))
    whole, cut = realise(healthy, SIZE), realise(replace(healthy, technique=technique), SIZE)
    assert cut.image.shape == (SIZE - 26, SIZE)
    assert (cut.image == whole.image[13:-13]).all()
    assert (cut.whole_lungs["left"] == whole.whole_lungs["left"][13:-13]).all()
    assert (cut.heart == whole.heart[13:-13]).all()
