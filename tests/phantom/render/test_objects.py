"""Foreign objects."""

from __future__ import annotations

from collections.abc import Callable

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.labels import OBJECT
from g2d_bench.phantom.sampling import _OBJECTS


def test_every_object_is_seen_and_bright(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    plain = draw(healthy).image.astype(float)
    for kind in _OBJECTS:
        drawn = draw(healthy, Finding(OBJECT, "", "", 0.5, False, kind, 3))
        mask = drawn.finding_masks[0]
        assert mask.any(), kind
        assert (drawn.image - plain)[mask].mean() > 10, kind
