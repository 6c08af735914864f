"""Findings that make the lung opaque."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from g2d_bench.phantom import Finding, Phantom, Scene
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.render.opacities import is_calcified

SIZE = 128


def mean_change(draw: Callable[..., Phantom], scene: Scene, finding: Finding) -> tuple[float, float]:
    """Mean difference to the healthy film inside the mask, and mean absolute one far from it."""
    from scipy.ndimage import binary_dilation

    without, with_it = draw(scene), draw(scene, finding)
    difference = with_it.image.astype(float) - without.image
    mask = with_it.finding_masks[0]
    far = ~binary_dilation(mask, iterations=6)
    return float(difference[mask].mean()), float(np.abs(difference[far]).mean())


@pytest.mark.parametrize(
    ("finding", "least"),
    [
        (Finding("Consolidation", "right", "lower", 0.6, False, "round", 1), 15),
        (Finding("Pneumonia", "left", "mid", 0.6, False, "lobar", 2), 10),
        (Finding("Infiltration", "right", "upper", 0.6, False, "", 3), 5),
        (Finding("Effusion", "left", "basal", 0.6, False, "meniscus", 4), 25),
        (Finding("Effusion", "right", "basal", 0.6, False, "layering", 4), 6),
        (Finding("Mass", "left", "upper", 0.6, False, "spiculated", 5), 25),
        (Finding("Nodule", "right", "mid", 0.8, False, "", 6), 15),
        (Finding("Edema", "bilateral", "perihilar", 0.6, False, "", 7), 8),
        (Finding("COVID-19", "bilateral", "peripheral", 0.6, False, "", 8), 8),
        (Finding("Pleural_Thickening", "right", "lateral", 0.9, False, "", 9), 15),
        (Finding("Atelectasis", "right", "lower", 0.6, False, "plate", 10), 12),
        (Finding("Atelectasis", "right", "basal", 0.6, False, "basal", 10), 10),
        (Finding("Atelectasis", "left", "retrocardiac", 0.6, False, "retrocardiac", 10), 4),
        (Finding(DEVICES, "right", "", 0.5, False, "chest tube", 11), 10),
        (Finding(OBJECT, "", "", 0.5, False, "coin", 12), 40),
    ],
    ids=lambda value: f"{value.label}-{value.pattern}" if isinstance(value, Finding) else "",
)
def test_opacities_brighten_their_mask(
    healthy: Scene, finding: Finding, least: float, draw: Callable[..., Phantom]
) -> None:
    inside, far = mean_change(draw, healthy, finding)
    assert inside > least
    assert inside > 3 * far


def test_severity_grows_the_mask(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    for label, pattern in (("Pneumothorax", "apical"), ("Effusion", "meniscus"), ("Consolidation", "round")):
        small, large = (
            draw(healthy, Finding(label, "right", "lower", severity, False, pattern, 4))
            .finding_masks[0]
            .sum()
            for severity in (0.2, 0.9)
        )
        assert large > 1.4 * small, label


def test_calcified_nodules_are_the_dense_ones(healthy: Scene, draw: Callable[..., Phantom]) -> None:
    """One in four; who asks gets the answer by which the nodule is drawn."""
    nodules = [
        Finding("Nodule", "right", "mid", 0.6, False, "spiculated" if key % 2 else "", key)
        for key in range(400)
    ]
    found = [is_calcified(nodule) for nodule in nodules]
    assert 0.18 < np.mean(found) < 0.32
    density: dict[bool, list[float]] = {True: [], False: []}
    for nodule, calcified in zip(nodules[:40], found, strict=False):
        density[calcified].append(mean_change(draw, healthy, nodule)[0])
    assert np.mean(density[True]) > 1.3 * np.mean(density[False])
