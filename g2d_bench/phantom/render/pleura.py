"""Findings of the pleural space: effusion, pneumothorax, thickening."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.arithmetic import cube, exp, power, sin, square
from g2d_bench.phantom.labels import OPAQUE
from g2d_bench.phantom.render import lesion
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.raster import Array, cover, limit, noise, smooth
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import stream


def draw_effusion(canvas: Canvas, number: int, finding: Finding) -> None:
    """Fluid: from a blunted angle over a meniscus to a white lung; a veil when the patient lies; a lens."""
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("effusion", finding.key, place)
        severity = float(np.clip(finding.severity * (1 if place == 0 else rng.uniform(0.3, 1.1)), 0.02, 1))
        lung = field.lung
        span = lung.bottom - lung.apex
        faint = 0.8 if finding.subtle else 1.0
        if finding.pattern == "layering":
            veil = smooth(field.v, 0.1 + 0.4 * (1 - severity), 1.0) * field.cov
            blunt = (
                smooth(field.to_floor + field.to_wall * np.float32(0.5), 0.06 + 0.07 * severity, 0.01)
                * field.cov
            )
            lesion.fill(field, veil, (0.26 + 0.44 * severity) * faint, 0.5)
            lesion.fill(field, blunt, 0.6 * faint)
            lesion.merge(canvas, field, veil * np.float32(0.6 * faint), heart=False, floor=True)
            canvas.mark(number, field.grid, np.maximum(veil * np.float32(0.9), blunt), 0.45)
            continue
        if finding.pattern == "loculated":
            # A lens on the wall, with its edges running out along it.
            v = rng.uniform(0.5, 0.9)
            tall, thick = 0.09 + 0.12 * severity, 0.02 + 0.085 * severity
            away = (field.grid.y - np.float32(lung.apex + v * span)) * np.float32(1 / tall)
            gap = np.float32(thick) * limit(1 - away * away)
            area = cover(gap - field.to_wall, 0.01) * field.cov * cover(gap - np.float32(0.003), 0.004)
            opaque = area * np.float32(0.85 * faint)
            lesion.fill(field, opaque, 1.0)
            canvas.mark(number, field.grid, area)
            continue
        # Height of the fluid at the wall and, lower, towards the mediastinum; above 0.85 it nears the apex.
        rise = 0.062 + 0.54 * power(severity, 1.35) + 3.2 * max(0.0, severity - 0.85)
        level = lung.bottom - span * rise
        climb = (0.03 + 0.075 * severity) * rng.uniform(0.7, 1.4)
        lateral = (field.lateral / np.float32(lung.width)).clip(0, 1.1)
        line = np.float32(level) + np.float32(climb * 1.6) * (1 - cube(lateral))
        line -= np.float32(0.018) * smooth(lateral, 0.3, 0.12)
        depth = field.grid.y - line
        area = cover(depth, 0.016) * field.cov
        # Fluid thins out upwards, in front of and behind the lung.
        thin = smooth(depth, -0.06 - 0.05 * severity, 0.02) * field.cov * np.float32(0.3)
        opaque = np.maximum(area * np.float32(0.95), thin) * np.float32(faint)
        # Behind the heart, its upper border is lost.
        opaque *= 1 - np.float32(0.3) * field.grid.of(canvas.shadow)
        lesion.fill(field, opaque, 1.0)
        field.added += area * (1 - np.float32(0.9) * field.grid.of(canvas.shadow)) * np.float32(0.04)
        lesion.merge(canvas, field, opaque, heart=severity > 0.25, floor=True)
        canvas.mark(number, field.grid, area)


def pneumothorax_gap(field: LungField, finding: Finding) -> Array:
    """Width of the air rim as a field, in image sides: how far the lung has come off the wall."""
    rng = stream("pneumothorax", finding.key)
    s = finding.severity
    wobble = 1 + np.float32(0.12) * sin(
        field.v * np.float32(rng.uniform(5, 9)) + np.float32(rng.uniform(0, 6))
    ).astype(np.float32)
    if finding.pattern == "apical":
        depth, reach = 0.042 + 0.095 * s, 0.46 + 0.5 * s
        profile = smooth(field.v, reach, 0.02)
    elif finding.pattern == "lateral":
        depth, reach = 0.03 + 0.088 * s, 0.7 + 0.3 * s
        profile = smooth(field.v, reach + 0.2, 0.1) * np.float32(0.75) + np.float32(0.25)
    elif finding.pattern == "basal":
        depth = 0.03 + 0.06 * s
        profile = smooth(field.v, 0.45, 0.95)
    else:
        depth = 0.11 + 0.1 * s
        profile = smooth(field.v, -1.0, -0.5)
    gap: Array = np.float32(depth) * profile * wobble
    return gap


def _nearer(one: Array, other: Array, width: float) -> Array:
    """The smaller of two distances, rounded where they are alike: a collapsed lung has no corners."""
    apart = one - other
    nearer: Array = np.float32(0.5) * (one + other - np.sqrt(apart * apart + np.float32(width * width)))
    return nearer


def draw_pneumothorax(canvas: Canvas, number: int, finding: Finding) -> None:
    """Air between lung and wall: no vessels, darker, bounded by the hair line of the visceral pleura."""
    for field in canvas.sides(finding):
        gap = pneumothorax_gap(field, finding)
        # At the apex the lung sinks as well as shrinking sideways.
        distance = field.to_wall
        if finding.pattern == "basal":
            distance = _nearer(distance, field.to_floor * np.float32(1.4), 0.03)
        elif finding.pattern == "tension":
            distance = _nearer(distance, field.to_floor * np.float32(1.3) + np.float32(0.02), 0.14)
        beyond = gap - distance
        # Nothing of it is seen through the mediastinum.
        seen = field.cov * (1 - field.grid.of(canvas.shadow)) * cover(gap - np.float32(0.006), 0.004)
        rim = cover(beyond, 0.006) * seen
        faint = 0.75 if finding.subtle else 1.0
        field.vessels *= 1 - rim
        # Whatever ails the lung went with it, away from the wall.
        field.aeration += rim * (1 - field.aeration)
        field.added *= 1 - rim
        for other, mask in canvas.masks.items():
            if canvas.scene.findings[other].label in OPAQUE:
                field.grid.of(mask)[...] &= rim < 0.5
        # The air is as deep as the thorax there, also at its edge, where lung is thin.
        field.depth += rim * (np.float32(0.98) - field.depth).clip(0) * np.float32(0.85 * faint)
        line = exp(-square(beyond * np.float32(1 / 0.0029))) * seen
        field.added += line * np.float32(0.13 * faint)
        # The lung that is left is compressed, so a little denser.
        rest = (1 - rim) * np.float32(0.05 + 0.16 * finding.severity)
        if finding.pattern == "tension":
            rest = rest + (1 - rim) * np.float32(0.12)
        field.aeration *= 1 - rest
        canvas.mark(number, field.grid, rim)


def draw_thickening(canvas: Canvas, number: int, finding: Finding) -> None:
    """Pleural thickening: an apical cap, a band along the wall, or a blunted angle; sometimes calcified."""
    for place, field in enumerate(canvas.sides(finding)):
        rng = stream("thickening", finding.key, place)
        thick = 0.016 + 0.024 * finding.severity
        rough = noise(field.grid, "cloud", rng) * np.float32(0.2)
        if finding.zone == "apical":
            profile = smooth(field.v, 0.26 + 0.1 * finding.severity, 0.06)
        elif finding.zone == "basal":
            profile = smooth(field.v, 0.68, 0.92)
        else:
            middle = rng.uniform(0.4, 0.65)
            profile = smooth(np.abs(field.v - np.float32(middle)), 0.36, 0.12)
        gap = np.float32(thick) * profile * (1 + rough)
        inside = gap - field.to_wall
        area = cover(inside, 0.007) * field.cov * cover(gap - np.float32(0.004), 0.004)
        field.added += area * np.float32((0.28 + 0.1 * finding.severity) * (0.75 if finding.subtle else 1.0))
        field.vessels *= 1 - np.float32(0.7) * area
        if rng.random() < 0.25:
            field.added += area * smooth(noise(field.grid, "grain", rng), 0.6, 1.6) * np.float32(0.2)
        canvas.mark(number, field.grid, area)


PAINTERS = {
    "Pneumothorax": draw_pneumothorax,
    "Effusion": draw_effusion,
    "Pleural_Thickening": draw_thickening,
}
"""Label to the function that draws it, in the order of drawing: fluid gathers below air."""
