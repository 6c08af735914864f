"""Devices and objects."""

from __future__ import annotations

from collections.abc import Callable

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.labels import DEVICES, OBJECT

SIZE = 128


def test_every_device_and_object_is_seen(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    from g2d_bench.phantom.sampling import _DEVICES, _OBJECTS

    for kind in (*_DEVICES, "chest tube"):
        assert draw(healthy, Finding(DEVICES, "left", "", 0.5, False, kind, 3)).finding_masks[0].any(), kind
    for kind in _OBJECTS:
        assert draw(healthy, Finding(OBJECT, "", "", 0.5, False, kind, 3)).finding_masks[0].any(), kind
