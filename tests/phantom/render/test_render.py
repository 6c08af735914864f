"""Pixels and masks: several findings on one film."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom import Finding, Phantom, Scene


def test_findings_overlap_and_keep_their_masks(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    """Each finding has the mask that it has alone; air between lung and wall takes the lung's from there."""
    ill = (
        Finding("Pneumonia", "left", "lower", 0.7, False, "patchy", 1),
        Finding("Effusion", "left", "basal", 0.6, False, "meniscus", 2),
        Finding("Nodule", "left", "lower", 0.7, False, "", 3),
    )
    together = draw(healthy, *ill)
    assert (together.finding_masks[0] & together.finding_masks[1]).any()
    for finding, mask in zip(ill, together.finding_masks, strict=True):
        assert np.array_equal(mask, draw(healthy, finding).finding_masks[0])
    air = Finding("Pneumothorax", "left", "lateral", 0.9, False, "lateral", 4)
    with_air = draw(healthy, *ill, air)
    assert not (with_air.finding_masks[0] & with_air.finding_masks[3]).any()
