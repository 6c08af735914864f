"""Findings of the pleura."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from g2d_bench.phantom import Finding, Phantom, Scene

SIZE = 128


@pytest.mark.parametrize("pattern", ["apical", "lateral", "basal", "tension"])
def test_pneumothorax_is_dark_bounded_and_without_vessels(
    healthy: Scene, pattern: str, draw: Callable[..., Phantom]
) -> None:
    finding = Finding("Pneumothorax", "left", "", 0.7, False, pattern, 4)
    without, with_it = draw(healthy, size=256), draw(healthy, finding, size=256)
    mask = with_it.finding_masks[0]
    assert 0.008 < mask.mean() < 0.25
    inside = with_it.image[mask].astype(float).mean() - without.image[mask].astype(float).mean()
    assert inside < -3
    assert mask[:, 128:].sum() > 0.98 * mask.sum()
    # It lies between the lung and the chest wall: within the lung's outline.
    assert (mask & ~(without.lungs["left"] | without.lungs["right"])).sum() < 0.2 * mask.sum()
