"""Devices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.labels import DEVICES
from g2d_bench.phantom.sampling import _DEVICES


def test_every_device_is_seen(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    for kind in (*_DEVICES, "chest tube"):
        assert draw(healthy, Finding(DEVICES, "left", "", 0.5, False, kind, 3)).finding_masks[0].any(), kind


def test_where_tubes_end_varies(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    """Most airway tubes end above the carina, some too deep; enteric tubes mostly reach the abdomen."""

    def lowest(kind: str) -> list[float]:
        found = []
        for key in range(40):
            mask = draw(healthy, Finding(DEVICES, "right", "", 0.5, False, kind, key)).finding_masks[0]
            found.append(float(np.flatnonzero(mask.any(1)).max()) / 128)
        return found

    carina = draw(healthy)
    from g2d_bench.phantom.anatomy import make_anatomy

    a = make_anatomy(carina.scene)
    airway = np.array(lowest("endotracheal tube"))
    assert 0 < np.mean(airway > a.carina) < 0.35
    enteric = np.array(lowest("enteric tube"))
    assert 0.6 < np.mean(enteric > a.lungs["left"].dome) < 1
