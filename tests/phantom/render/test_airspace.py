"""Pneumonia in its forms, COVID-like haze, oedema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.anatomy import make_anatomy
from g2d_bench.phantom.labels import COVID
from g2d_bench.phantom.render import airspace
from g2d_bench.phantom.render.canvas import make_canvas
from g2d_bench.phantom.sampling import _PATTERNS

FORMS = [
    (label, pattern)
    for label in ("Infiltration", "Pneumonia", "Consolidation", COVID)
    for pattern in _PATTERNS[label]
] + [("Edema", "")]


@pytest.mark.parametrize(("label", "pattern"), FORMS)
def test_masks_lie_within_the_lung_and_grow(
    healthy: Scene, label: str, pattern: str, draw: Callable[..., Phantom]
) -> None:
    side = "bilateral" if label in ("Edema", COVID) else "right"
    means = []
    for severity in (0.15, 0.9):
        sizes = []
        for key in range(3):
            finding = Finding(label, side, "lower", severity, False, pattern, key)
            scene = replace(healthy, findings=(finding,))
            canvas = make_canvas(scene, make_anatomy(scene), 128)
            within = np.zeros((128, 128), np.bool_)
            for field in canvas.lungs.values():
                field.grid.of(within)[...] |= field.cov > 0.5
            mask = draw(healthy, finding).finding_masks[0]
            assert mask.any()
            assert not (mask & ~within).any()
            sizes.append(mask.mean())
        means.append(np.mean(sizes))
    assert means[1] > 1.3 * means[0]


def test_subtle_ones_are_fainter(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    plain = draw(healthy).image.astype(float)
    change = {
        subtle: np.mean(
            [
                (
                    draw(healthy, Finding("Pneumonia", "right", "mid", 0.4, subtle, "patchy", key)).image
                    - plain
                )
                .clip(0)
                .sum()
                for key in range(4)
            ]
        )
        for subtle in (False, True)
    }
    assert 0.3 * change[False] < change[True] < 0.8 * change[False]


def test_both_sides_are_seldom_alike(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    shares = []
    for key in range(12):
        mask = draw(
            healthy, Finding(COVID, "bilateral", "peripheral", 0.7, False, "peripheral", key)
        ).finding_masks[0]
        right, left = mask[:, :64].sum(), mask[:, 64:].sum()
        shares.append(right / (right + left))
    assert min(shares) < 0.4
    assert max(shares) > 0.6
    assert set(airspace.PAINTERS) == {label for label, _ in FORMS}
