"""Bones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from g2d_bench.phantom import Finding, Phantom, Scene

SIZE = 128


@pytest.mark.parametrize("label", ["Hernia", "Fibrosis", "Fracture", "Enlarged Cardiomediastinum"])
def test_other_findings_change_the_picture(healthy: Scene, label: str, draw: Callable[..., Phantom]) -> None:
    side = {"Fibrosis": "bilateral", "Fracture": "right"}.get(label, "")
    finding = Finding(label, side, "lower", 0.8, False, "", 5)
    without, with_it = draw(healthy), draw(healthy, finding)
    mask = with_it.finding_masks[0]
    assert mask.any()
    assert np.abs(with_it.image[mask].astype(float) - without.image[mask]).mean() > 3
