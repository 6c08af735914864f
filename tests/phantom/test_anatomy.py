"""One patient's anatomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.anatomy import make_anatomy

SIZE = 128


def cardiothoracic_ratio(scene: Scene) -> float:
    """Width of the heart over the inner width of the thorax."""
    anatomy = make_anatomy(scene)
    return 2 * anatomy.heart_half / (anatomy.lungs["right"].width + anatomy.lungs["left"].width)


def test_cardiomegaly_widens_the_heart(healthy: Scene, draw: Callable[..., Phantom]) -> None:

    assert cardiothoracic_ratio(healthy) < 0.5
    sick = replace(healthy, findings=(Finding("Cardiomegaly", "", "", 0.4),))
    assert cardiothoracic_ratio(sick) > 0.54
    box = draw(healthy, *sick.findings).boxes[0]
    assert box.w > 0.4 * SIZE * 0.75
