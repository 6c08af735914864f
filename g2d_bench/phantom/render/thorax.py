"""Soft tissue, abdomen, mediastinum, heart and airway."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.anatomy import Curve
from g2d_bench.phantom.arithmetic import cos, even, exp, gaussian, sin, square
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, bulge, cover, disc, limit, noise, smooth
from g2d_bench.phantom.render.strokes import spline


def draw_body(canvas: Canvas) -> None:
    """Outline and thickness of neck, shoulders, trunk and arms."""
    a, grid = canvas.anatomy, canvas.grid
    rng = canvas.rng("body")
    draw = rng.random(4)
    y = grid.y.astype(np.float64)
    x = canvas.lateral
    far = np.abs(x)
    # Shoulder line: steep at the neck, then sloping to the edge.
    columns = np.abs(grid.x.astype(np.float64) - a.middle)
    beyond = (columns - a.neck).clip(0)
    top = a.shoulder - 0.17 * exp(-beyond / 0.055) - 0.05 * (1 - limit(beyond / 0.4))
    top = np.where(columns < a.neck, -1.0, top)
    above = grid.y - top.astype(np.float32)
    # The trunk narrows below the axilla; the arms hang beside it.
    axilla = a.shoulder + 0.22
    t = limit((y - axilla + 0.06) / 0.26)
    flank = (
        a.torso
        + 0.06 * draw[3]
        + 0.17 * (1 - t * t * (3 - 2 * t))
        + (0.05 * a.fat - 0.015) * square(limit((y - 0.6) / 0.4))
    )
    inside = flank.astype(np.float32) - far
    trunk = bulge(inside * np.float32(1 / 0.2)) * cover(inside, 0.006)
    gap = (0.05 * draw[0] - 0.012 if a.bedside else 0.02 + 0.08 * draw[0]) + (0.12 * draw[1] - 0.03) * (
        y - axilla
    )
    arm = far - (flank + gap).astype(np.float32)
    limb = (
        bulge(arm * np.float32(1 / 0.05)) * cover(arm, 0.006) * np.float32(0.7 * (1.0 if a.bedside else 0.8))
    )
    # Arms are mostly held away from the field.
    hump = np.where(grid.y > axilla, np.maximum(trunk, limb), trunk) if draw[2] < 0.55 else trunk
    shape = (
        hump
        * cover(above, 0.008)
        * (np.float32(0.45) + np.float32(0.55) * bulge(above * np.float32(1 / 0.13)))
    )
    canvas.body = cover(above, 0.008) * cover(hump - np.float32(0.02), 0.04)
    canvas.attenuation += shape * np.float32(0.68 + 0.09 * a.fat)
    # Fat planes and muscle: coarse, faint.
    canvas.attenuation += shape * noise(grid, "cloud", rng) * np.float32(0.014)


def draw_breasts(canvas: Canvas) -> None:
    """Breast shadows of women: a crescent that ends in a sharp fold over the lower lungs."""
    scene, a, grid = canvas.scene, canvas.anatomy, canvas.grid
    if scene.patient.sex != "F":
        return
    rng = canvas.rng("breast")
    size = float(np.clip(0.5 + 0.3 * scene.patient.body.habitus + 0.2 * rng.normal(), 0.1, 1.2))
    for sign in (-1.0, 1.0):
        radius = 0.13 + 0.05 * size
        x = a.middle + sign * (0.23 + 0.01 * rng.normal())
        y = a.lungs["left"].dome - 0.1 + 0.07 * size + 0.01 * rng.normal()
        part = grid.part(x - radius * 1.3, y - radius * 1.6, x + radius * 1.3, y + radius * 1.3)
        q = disc(part, x, y, radius * 1.12, radius)
        fold = smooth(part.y, y - radius * 0.9, y + radius * 0.5)
        shadow = (
            bulge((1 - q) * np.float32(1.0)) * (np.float32(0.1) + np.float32(0.9) * fold) * cover(1 - q, 0.07)
        )
        part.of(canvas.attenuation)[...] += shadow * np.float32(0.045 + 0.07 * size)


def draw_abdomen(canvas: Canvas) -> None:
    """Gas bubble of the stomach and some bowel gas below the diaphragm."""
    a, grid = canvas.anatomy, canvas.grid
    rng = canvas.rng("abdomen")
    left = a.lungs["left"]
    if rng.random() < 0.75:
        wide = 0.03 + 0.04 * rng.random()
        gx, gy = a.middle + 0.11 + 0.06 * rng.random(), left.dome + 0.035 + wide * 0.6
        spot = grid.part(gx - 0.14, gy - 0.14, gx + 0.14, gy + 0.14)
        q = disc(spot, gx, gy, wide * 1.35, wide * 0.8, 0.25)
        q += noise(spot, "cloud", rng) * np.float32(0.05)
        spot.of(canvas.attenuation)[...] -= (
            bulge((1 - q) * 1.6) * cover(1 - q, 0.1) * np.float32(0.2 + 0.15 * rng.random())
        )
    # Loops of bowel: a few, or a row of them along the colon.
    for _ in range(int(rng.integers(0, 4)) + (int(rng.integers(0, 7)) if rng.random() < 0.3 else 0)):
        gx, gy, wide = (
            a.middle + rng.uniform(-0.3, 0.34),
            left.dome + rng.uniform(0.07, 0.3),
            rng.uniform(0.012, 0.034),
        )
        spot = grid.part(gx - 0.1, gy - 0.1, gx + 0.1, gy + 0.1)
        q = disc(spot, gx, gy, wide * rng.uniform(1.0, 1.9), wide, rng.uniform(-1, 1))
        q += noise(spot, "cloud", rng) * np.float32(0.14)
        spot.of(canvas.attenuation)[...] -= cover(1 - q, 0.8) * np.float32(rng.uniform(0.04, 0.17))


def _organs(canvas: Canvas) -> Array:
    """Thickness of liver, spleen and stomach below the diaphragm, 0..1, shape [S, S]."""
    a, grid = canvas.anatomy, canvas.grid
    x = grid.x.astype(np.float64)
    top = np.full(x.shape, 9.0)
    for lung in a.lungs.values():
        lateral = lung.sign * (x - a.midline(lung.dome))
        reach = np.where(lateral > -0.03, lung.floor(lateral.clip(0)), 9.0)
        top = np.minimum(top, reach)
    depth = grid.y - top.astype(np.float32)
    part = depth[: grid.size]
    far = np.abs(grid.x - np.float32(a.middle))
    rib_cage = np.float32(max(lung.width for lung in a.lungs.values()) + 0.015) - far
    return (
        cover(part, 0.024)
        * smooth(rib_cage, -0.06, 0.06)
        * (np.float32(0.25) + np.float32(0.75) * bulge(part * np.float32(1 / 0.2)))
    )


def _rows_of_heart(canvas: Canvas, y: Curve) -> tuple[Curve, Curve]:
    """Right and left border of the heart's ellipse at heights ``y``, from the midline; -1 outside."""
    hx, hy, long, short, angle = canvas.anatomy.heart
    c, s = cos(angle), sin(angle)
    dy = y - hy
    # ((dx c + dy s) / long)^2 + ((dy c - dx s) / short)^2 = 1, solved for dx.
    p = square(c / long) + square(s / short)
    q = dy * c * s * (1 / square(long) - 1 / square(short))
    r = square(dy) * (square(s / long) + square(c / short)) - 1
    root = q * q - p * r
    width = np.sqrt(root.clip(0))
    right = np.where(root > 0, -(hx + (-q - width) / p), -1.0)
    left = np.where(root > 0, hx + (-q + width) / p, -1.0)
    return right, left


def draw_mediastinum(canvas: Canvas) -> None:
    """The central shadow: great vessels, aortic knob and heart, one silhouette; and the organs below it."""
    a, grid = canvas.anatomy, canvas.grid
    y = grid.y.astype(np.float64)
    x = canvas.lateral
    apex = a.lungs["left"].apex
    m = a.mediastinum
    knob_y, knob = a.knob
    # Left border: subclavian artery, aortic knob, pulmonary trunk; right border: veins, then the atrium.
    left = (
        m * (0.62 + 0.3 * limit((y - apex) / 0.2) + 0.3 * limit((y - knob_y - 0.02) / 0.16))
        + knob * exp(-square((y - knob_y) / 0.04) * np.where(y < knob_y, 1.5, 0.9))
        + 0.026 * exp(-square((y - a.carina - 0.05) / 0.05))
        + 0.35 * knob * limit((y - knob_y) / 0.1) * limit((a.carina + 0.25 - y) / 0.2)
    )
    right = m * (0.68 + 0.22 * limit((y - apex) / 0.2) + 0.25 * limit((y - knob_y) / 0.2)) + 0.3 * knob * exp(
        -square((y - a.carina) / 0.08)
    )
    heart_right, heart_left = _rows_of_heart(canvas, y)
    # Vessels run into the heart without a notch.
    blur = 0.026 * grid.size
    left = gaussian(np.maximum(left, heart_left), blur, 0)
    right = gaussian(np.maximum(right, heart_right), blur, 0)
    inside = np.where(x > 0, left.astype(np.float32) - x, x + right.astype(np.float32))
    # The great vessels' borders are soft; lower down the beating heart's are sharper.
    draw = canvas.rng("mediastinum").random(2)
    soft = (0.008 + 0.012 * draw[0]) + 0.022 * limit((a.carina - y) / 0.15)
    shape = cover((inside / soft).astype(np.float32), 1.0)
    thick = shape * (np.float32(0.3) + np.float32(0.7) * bulge(inside * np.float32(1 / 0.12)))
    fade = (0.45 + 0.55 * limit((y - apex + 0.1) / 0.2)).astype(np.float32)
    body = smooth(grid.y, a.heart[1] - a.heart[2] * 0.9, a.heart[1])
    column = thick * fade * (np.float32(0.1 + 0.1 * draw[1]) + np.float32(0.05) * body)
    organs = _organs(canvas) * np.float32(0.24 + 0.06 * a.fat)
    flank = (a.torso + 0.01 - np.abs(x)).astype(np.float32)
    organs *= bulge(flank * np.float32(1 / 0.24))
    organs *= 1 + np.float32(0.09) * noise(grid, "cloud", canvas.rng("organs"))
    # Fluid beside fluid: the silhouettes do not add up, the thicker one counts, and a little more.
    canvas.attenuation += np.maximum(column, organs) + np.float32(0.12) * np.minimum(column, organs)
    canvas.shadow = shape
    canvas.heart = shape * smooth(grid.y, a.heart[1] - a.heart[3] * 1.02, a.heart[1] - a.heart[3] * 0.8)
    for field in canvas.lungs.values():
        field.depth *= 1 - np.float32(0.55) * field.grid.of(thick)
        field.vessels *= 1 - np.float32(0.6) * field.grid.of(shape)
    below = max(lung.dome for lung in a.lungs.values()) + 0.03
    for number, finding in enumerate(canvas.scene.findings):
        if finding.label == "Cardiomegaly":
            canvas.mark(number, grid, np.where(grid.y < below, canvas.heart, np.float32(0)))
        elif finding.label == "Enlarged Cardiomediastinum":
            band = (grid.y > apex) & (grid.y < a.carina + 0.1)
            canvas.mark(number, grid, np.where(band, shape, np.float32(0)))
    _draw_airway(canvas)


def _draw_airway(canvas: Canvas) -> None:
    a = canvas.anatomy
    rng = canvas.rng("airway")
    bend = rng.normal(0, 0.006)
    top = max(a.lungs["left"].apex - 0.12, -0.02)

    def at(x: float, y: float) -> tuple[float, float]:
        return a.midline(y) + x, y

    trachea = spline([at(bend, top), at(0.004 + bend, a.carina - 0.12), at(-0.004, a.carina)], 60)
    canvas.ink.curve(trachea, 0.0115 * a.zoom, -0.17)
    thin, faint = even(0.0075, 0.004, 30), even(-0.14, -0.04, 30)
    for sign, fall in ((-1, 0.06), (1, 0.045)):
        branch = spline(
            [at(-0.004, a.carina), at(sign * 0.03, a.carina + fall * 0.6), at(sign * 0.065, a.carina + fall)],
            30,
        )
        canvas.ink.curve(branch, thin, faint)
