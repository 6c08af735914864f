"""Findings that fill the lung's air spaces: pneumonia in all its forms, COVID-like haze, oedema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from g2d_bench.phantom.labels import COVID
from g2d_bench.phantom.render import lesion
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.lesion import join, lay, patch
from g2d_bench.phantom.render.raster import Array, disc, noise, smooth
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream, stream

HEIGHT = {"apical": 0.12, "upper": 0.27, "mid": 0.52, "lower": 0.78, "basal": 0.9, "": 0.55}
"""Zone to height in the lung, from the apex (0) to the diaphragm (1)."""
DENSITY = {"Infiltration": (0.22, 0.62), "Pneumonia": (0.34, 0.95), "Consolidation": (0.7, 1.0)}
"""Share of the air that is gone, faintest and densest."""


def _shares(finding: Finding) -> list[float]:
    """How much of a finding each side has: both sides are seldom alike."""
    rng = stream("shares", finding.key)
    weaker = rng.uniform(0.3, 1.05)
    if finding.side != "bilateral":
        return [1.0]
    return [1.0, weaker] if rng.random() < 0.55 else [weaker, 1.0]


def draw_airspace(canvas: Canvas, number: int, finding: Finding) -> None:
    """Infiltration, pneumonia and consolidation: from a faint cloud to a lobe and to a white lung."""
    low, high = DENSITY[finding.label]
    for place, (field, share) in enumerate(zip(canvas.sides(finding), _shares(finding), strict=True)):
        rng = stream("airspace", finding.key, place)
        severity = finding.severity * share
        level = min(1.0, 0.7 * severity + 0.5 * rng.random())
        density = (low + (high - low) * level) * (0.62 if finding.subtle else 1.0)
        extent = 0.052 + 0.12 * severity + 0.12 * severity * severity
        v = min(max(HEIGHT[finding.zone] + rng.uniform(-0.09, 0.09), 0.08), 0.93)
        centre = field.point(canvas.anatomy, rng.uniform(0.2, 0.78), v)
        area = _FORMS.get(finding.pattern, _patchy)(_Place(canvas, field, rng, centre, extent, finding))
        if finding.pattern == "interstitial":
            # Septa and cuffs of bronchi more than filled air spaces; the vessels look thicker.
            field.added += area * lesion.net(canvas, field, rng) * np.float32(0.04 + 0.09 * density)
            lesion.fill(field, area, 0.6 * density, 0.0)
            field.vessels *= 1 + np.float32(0.3) * area
        else:
            uneven = 0.3 if finding.pattern == "lobar" else 1.0 - 0.55 * density
            beside = finding.zone == "mid" or (finding.zone == "upper" and finding.side != "bilateral")
            if beside:
                # Lung in front lies beside the heart, not behind it.
                area *= 1 - np.float32(0.8) * field.grid.of(canvas.shadow)
            opaque = area * lesion.textured(field, rng, uneven) * np.float32(density)
            lesion.fill(field, opaque, 1.0, 0.45 + 0.5 * density)
            field.added += opaque * opaque * np.float32(0.06)
            lesion.merge(
                canvas,
                field,
                opaque,
                heart=beside,
                floor=finding.zone in ("lower", "basal"),
            )
            if density > 0.5 and extent > 0.08:
                lesion.bronchogram(canvas, field, rng, opaque, centre)
        lesion.outline(canvas, number, field, area)


@dataclass(frozen=True)
class _Place:
    """Where a form is drawn: the lung, the middle of the opacity on the image, its extent in image sides."""

    canvas: Canvas
    field: LungField
    rng: Stream
    centre: tuple[float, float]
    extent: float
    finding: Finding


def _patchy(place: _Place) -> Array:
    """A cloud with satellites."""
    x, y = place.centre
    area = patch(
        place.field, place.rng, x, y, place.extent * 1.1, place.extent, place.rng.uniform(-0.8, 0.8), 0.3
    )
    for _ in range(int(place.rng.integers(1, 5))):
        bx, by = x + place.rng.normal(0, place.extent * 0.9), y + place.rng.normal(0, place.extent * 0.9)
        size = place.extent * place.rng.uniform(0.35, 0.75)
        lay(place.field, (area,), place.rng, bx, by, size, size * 0.85, 0.0, 0.35)
    return area


def _round(place: _Place) -> Array:
    """One cloud."""
    return patch(
        place.field,
        place.rng,
        *place.centre,
        place.extent * 1.1,
        place.extent,
        place.rng.uniform(-0.8, 0.8),
        0.22,
    )


def _lobar(place: _Place) -> Array:
    """A segment of a lobe up to the whole of it, cut off at its fissure."""
    # The lingula begins where the heart ends, the middle lobe nearer to the spine.
    mid = place.rng.uniform(0.1, 0.3) + (0.25 if place.field.lung.sign > 0 else 0.0)
    u = {"mid": mid, "upper": place.rng.uniform(0.25, 0.75)}.get(
        place.finding.zone, place.rng.uniform(0.25, 0.7)
    )
    v = {"mid": 0.68, "upper": place.rng.uniform(0.25, 0.45)}.get(place.finding.zone, 0.88)
    x, y = place.field.point(place.canvas.anatomy, u, v)
    size = 1.3 * place.extent
    whole = patch(place.field, place.rng, x, y, size * 1.2, size, 0.0, 0.2)
    return whole * lesion.lobe(place.field, place.rng, place.finding.zone)


def _bronchial(place: _Place) -> Array:
    """Many small clouds along the bronchi, mostly low, that run together where they are dense."""
    area: Array = np.zeros(place.field.grid.shape, np.float32)
    for _ in range(4 + int(7 * place.finding.severity)):
        u = 0.08 + 0.75 * place.rng.random()
        v = min(max(HEIGHT[place.finding.zone] + place.rng.normal(0, 0.16), 0.1), 0.97)
        x, y = place.field.point(place.canvas.anatomy, u, v)
        size = place.rng.uniform(0.022, 0.032 + 0.3 * place.extent)
        lay(place.field, (area,), place.rng, x, y, size, size * 1.1, 0.0, 0.35)
    place.field.vessels *= 1 + np.float32(0.35) * area
    return area


def _interstitial(place: _Place) -> Array:
    """A wide part of the lung, without a border."""
    x, y = place.centre
    return patch(place.field, place.rng, x, y, 0.12 + 0.9 * place.extent, 0.14 + 1.1 * place.extent, 0.0, 0.3)


_FORMS: dict[str, Callable[[_Place], Array]] = {
    "patchy": _patchy,
    "round": _round,
    "lobar": _lobar,
    "bronchial": _bronchial,
    "interstitial": _interstitial,
}


def draw_covid(canvas: Canvas, number: int, finding: Finding) -> None:
    """Ground-glass clouds of both lungs, rather outside and low; in grave cases all over, with a net."""
    diffuse = finding.pattern == "diffuse"
    for place, (field, share) in enumerate(zip(canvas.sides(finding), _shares(finding), strict=True)):
        rng = stream("covid", finding.key, place)
        severity = finding.severity * share
        density = (0.27 + 0.45 * severity + 0.25 * rng.random()) * (0.62 if finding.subtle else 1.0)
        area: Array = np.zeros(field.grid.shape, np.float32)
        opaque = area.copy()
        for _ in range(2 + int(rng.integers(0, 3)) + int(5 * severity)):
            u, v = 0.35 + 0.62 * rng.beta(2.4, 1.0), 0.2 + 0.76 * rng.beta(2.0, 1.1)
            x, y = field.point(canvas.anatomy, u, v)
            size = rng.uniform(0.038, 0.066) * (1 + 1.1 * severity)
            tall, weights = size * rng.uniform(0.9, 1.6), (1.0, rng.uniform(0.55, 1.0))
            lay(field, (area, opaque), rng, x, y, size * 0.9, tall, 0.0, 0.38, weights)
        if diffuse:
            rough = noise(field.grid, "cloud", rng) * np.float32(0.22)
            wide = smooth(field.v + rough, 0.75 - 0.85 * severity, 1.1 - 0.55 * severity) * field.cov
            area, opaque = join(area, wide), join(opaque, wide * np.float32(0.85))
        opaque = opaque * lesion.textured(field, rng, 0.8)
        field.added += (
            opaque * lesion.net(canvas, field, rng) * np.float32(0.03 + (0.1 if diffuse else 0.05) * severity)
        )
        opaque = opaque * np.float32(min(density, 0.95))
        lesion.fill(field, opaque, 1.0, 0.6)
        field.added += opaque * opaque * np.float32(0.05)
        lesion.merge(canvas, field, opaque, heart=severity > 0.45, floor=severity > 0.2)
        if density > 0.55:
            lesion.bronchogram(canvas, field, rng, opaque, field.point(canvas.anatomy, 0.6, 0.75))
        lesion.outline(canvas, number, field, area)


def draw_edema(canvas: Canvas, number: int, finding: Finding) -> None:
    """Haze around the hila on both sides, thick septa at the base; from interstitial to alveolar."""
    strength = (0.14 + 0.66 * finding.severity) * (0.65 if finding.subtle else 1.0)
    for place, (field, share) in enumerate(zip(canvas.sides(finding), _shares(finding), strict=True)):
        rng = stream("edema", finding.key, place)
        x, y = field.point(canvas.anatomy, 0.14, rng.uniform(0.48, 0.6))
        reach = 0.19 + 0.13 * finding.severity
        wing = disc(field.grid, x, y, reach, reach * rng.uniform(0.95, 1.35))
        wing = wing + noise(field.grid, "cloud", rng) * np.float32(0.18)
        area = smooth(wing, 1.25, 0.15) * field.cov
        lower = np.float32(0.75) + np.float32(0.35) * field.v
        tied = strength * (0.5 + 0.5 * share)
        opaque = area * lower * lesion.textured(field, rng, 0.7) * np.float32(min(tied, 0.85))
        field.aeration *= 1 - opaque
        # Cuffs of fluid make vessels and bronchi wider and blurred, until haze hides them.
        field.vessels *= 1 + area * np.float32(0.3 - 0.9 * tied)
        field.added += area * lesion.net(canvas, field, rng) * np.float32(0.03 + 0.03 * finding.severity)
        lesion.merge(canvas, field, opaque, heart=finding.severity > 0.4, floor=False)
        # Septal (Kerley B) lines: short, level, at the lateral base.
        for _ in range(int(4 + 12 * finding.severity)):
            v = rng.uniform(0.62, 0.97)
            start, stop = (
                field.point(canvas.anatomy, 0.985, v),
                field.point(canvas.anatomy, 0.985 - rng.uniform(0.05, 0.11), v),
            )
            field.ink.curve(np.array([start, (stop[0], start[1])]), 0.0013, 0.07)
        if field.lung.sign < 0 and rng.random() < 0.3 + 0.5 * finding.severity:
            # Fluid in the minor fissure.
            v = rng.uniform(0.47, 0.55)
            ends = [
                field.point(canvas.anatomy, u, v + w) for u, w in ((0.3, 0.0), (0.6, -0.012), (0.97, 0.01))
            ]
            field.ink.curve(np.array(ends), 0.0017, 0.08)
        lesion.outline(canvas, number, field, area, 0.4)


PAINTERS: dict[str, Callable[[Canvas, int, Finding], None]] = {
    "Infiltration": draw_airspace,
    "Pneumonia": draw_airspace,
    "Consolidation": draw_airspace,
    "Edema": draw_edema,
    COVID: draw_covid,
}
"""Label to the function that draws it."""
