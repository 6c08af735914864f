"""The lungs."""

from __future__ import annotations

from collections.abc import Callable

from g2d_bench.phantom import Finding, Phantom, Scene

SIZE = 128


def test_emphysema_darkens_and_enlarges_the_lungs(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    finding = Finding("Emphysema", "bilateral", "", 0.9, False, "", 3)
    without, with_it = draw(healthy), draw(healthy, finding)
    lungs = [p.lungs["right"] | p.lungs["left"] for p in (without, with_it)]
    assert lungs[1].sum() > 1.1 * lungs[0].sum()
    assert with_it.image[lungs[1]].mean() < without.image[lungs[0]].mean()
