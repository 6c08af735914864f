"""Marks of old disease and operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from g2d_bench.phantom import Scene, realise
from g2d_bench.phantom.render.decoys import DECOYS
from g2d_bench.phantom.render.marks import MARKS

SIZE = 192


def trace(scene: Scene, mark: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Where a mark changes a film."""
    with_it = realise(replace(scene, decoys=(mark,)), SIZE).image.astype(int)
    return np.abs(with_it - realise(replace(scene, decoys=()), SIZE).image)


@pytest.mark.parametrize("mark", sorted(MARKS))
def test_marks_stay_with_their_patient(healthy: Scene, mark: str) -> None:
    first, later = trace(healthy, mark), trace(replace(healthy, index=healthy.index + 1, order=1), mark)
    other = replace(healthy.patient, number=healthy.patient.number + 1)
    foreign = trace(replace(healthy, patient=other), mark)
    assert first.max() >= 3
    # The same place on the next film (its texture is another); on another patient mostly not.
    spot = first >= max(3, first.max() // 2)
    assert later[spot].mean() > 0.7 * first[spot].mean()
    assert not np.array_equal(first, foreign)


def test_marks_are_look_alikes() -> None:
    assert set(MARKS) < set(DECOYS)
