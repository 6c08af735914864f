"""Lung texture: the vessel tree, hila and the fine mottle between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import between, cos, even, hypot, sin, sin_cos
from g2d_bench.phantom.render.canvas import Canvas, LungField
from g2d_bench.phantom.render.raster import limit, noise
from g2d_bench.phantom.render.strokes import ROOT, Ink, effective
from g2d_bench.phantom.seeds import Stream, stream

AIR = 0.56
"""Attenuation that a lung full of air saves against soft tissue."""


def draw_vessels(canvas: Canvas) -> None:
    """Grow a branching tree from each hilum, with more and wider branches where blood flow is larger."""
    scene, a = canvas.scene, canvas.anatomy
    severity = {finding.label: finding.severity for finding in scene.findings}
    edema = severity.get("Edema", 0.0) + (0.3 if "Edema" in severity else 0.0)
    loss = 0.6 * severity.get("Emphysema", 0.0) + (0.15 if "Emphysema" in severity else 0.0)
    gain = 1.0 + 0.25 * edema - loss
    for side, field in canvas.lungs.items():
        rng = stream("vessels", scene.patient.body.ribs, side)
        lung = field.lung
        hilum_y = a.carina + (0.055 if side == "right" else 0.035)
        hilum = 0.045 + 0.65 * a.mediastinum
        # Angles from straight up (0) to straight down (pi); lower lobes get more.
        count = 9
        angle = even(0.28, 2.75, count) + rng.normal(0, 0.1, count)
        upper = angle < 1.2
        flow = np.where(upper, 0.72 + 0.45 * edema + (0.12 if scene.supine else 0), 1.0)
        start = (
            hilum * rng.uniform(0.7, 1.25, count),
            hilum_y - 0.05 * cos(angle) + rng.normal(0, 0.008, count),
        )
        length = np.where(upper, 0.2, np.where(angle > 1.9, 0.24, 0.22)) * (1 + rng.normal(0, 0.12, count))
        length *= between((lung.width - hilum) / 0.3, 0.7, 1.2)
        width = 0.0052 * flow * (1 + rng.normal(0, 0.12, count))
        shoots: Shoots = (start, angle, length, width)
        level = _grow(field.ink, a.midline, lung.sign, rng, shoots, 0.085 * gain)
        for children, shrink in ((30, 0.62), (80, 0.6), (84, 0.62)):
            shoots = _branch(rng, level, children, shrink)
            level = _grow(field.ink, a.midline, lung.sign, rng, shoots, 0.16 * gain)
        # The hilum itself: a knot of large vessels.
        knots = []
        for _ in range(9):
            x = hilum - 0.012 + 0.028 * rng.random()
            y = hilum_y + 0.055 * rng.normal() * 0.7
            knots.append((a.midline(y) + lung.sign * x, y, 0.012 + 0.013 * rng.random()))
        x, y, sigma = np.array(knots).T
        field.ink.dots(x, y, sigma, 0.06 * gain)


THIN = 0.0012
"""Half width of the finest vessels drawn, in image sides."""

Values = NDArray[np.float64]
Level = tuple[Values, Values, Values, Values]
"""Branches as curves: lateral distance, y, direction and half width, each of shape [branches, steps]."""
Shoots = tuple[tuple[Values, Values], Values, Values, Values]
"""Branches to be: where they leave (lateral distance, y), direction, length, half width; shape [branches]."""


def _grow(
    ink: Ink,
    midline: Callable[[Values], Values],
    sign: float,
    rng: Stream,
    shoots: Shoots,
    height: float,
) -> Level:
    """Draw one generation of branches; return its curves for the next one."""
    start, angle, length, width = shoots
    bend = rng.normal(0, 0.6, len(angle))
    # Wider apart than a standard deviation would show as beads.
    spacing = 1.7 * float(effective(max(float(width.min()) * 0.45, THIN), ink.size)) / ink.size
    steps = max(4, int(np.ceil(float(length.max()) / spacing)) + 1)
    t = even(0, 1, steps)[None, :]
    s, c = sin_cos(angle)
    s, c = s[:, None], c[:, None]
    along = length[:, None] * t
    swing = bend[:, None] * length[:, None] * t * t * 0.5
    lateral = start[0][:, None] + s * along + c * swing
    y = start[1][:, None] - c * along + s * swing
    sigma = (width[:, None] * (1 - 0.55 * t)).clip(THIN)
    x = midline(y) + sign * lateral
    # A tube twice as wide is twice as thick.
    weight = height * sigma
    weight /= 0.004
    weight *= length[:, None] / (steps - 1)
    weight /= ROOT * sigma
    weight[:, -1] *= 0.5
    ink.dots(x, y, sigma, weight)
    slope = angle[:, None] + bend[:, None] * t
    return lateral, y, slope, sigma


def _branch(rng: Stream, parents: Level, count: int, shrink: float) -> Shoots:
    """Choose where the next generation leaves its parents."""
    lateral, y, slope, sigma = parents
    parent = rng.integers(0, len(y), count)
    place = rng.uniform(0.2, 0.98, count) * (y.shape[1] - 1)
    low = place.astype(int)
    rest = place - low

    def at(values: Values) -> Values:
        # Between two samples, so that the tree is the same however finely it is sampled.
        mixed: Values = values[parent, low] * (1 - rest) + values[parent, low + 1] * rest
        return mixed

    start = (at(lateral), at(y))
    turn = np.array([-1.0, 1.0])[rng.integers(0, 2, count)] * rng.uniform(0.3, 0.85, count)
    width = at(sigma) * rng.uniform(0.6, 0.85, count)
    span = hypot(lateral[parent, -1] - lateral[parent, 0], y[parent, -1] - y[parent, 0])
    length = span * shrink * rng.uniform(0.7, 1.2, count)
    return start, at(slope) + turn, length, width


def compose_lungs(canvas: Canvas) -> None:
    """Subtract the air that the findings have left, and add the vessels that are still seen."""
    for side, field in canvas.lungs.items():
        rng = canvas.rng("texture", side)
        view = field.grid.of(canvas.attenuation)
        texture = (
            1
            + np.float32(0.05) * noise(field.grid, "mottle", rng)
            + np.float32(0.05) * noise(field.grid, "cloud", rng)
        )
        view -= np.float32(AIR) * field.depth * field.aeration * texture
        view += field.ink.draw(field.grid) * field.cov * field.vessels
        view += field.added


def draw_emphysema(field: LungField, severity: float, rng: Stream, canvas: Canvas) -> None:
    """More air, fewer vessels, and bullae with hair-thin walls, mostly in the upper lobes."""
    field.aeration *= np.float32(1.04 + 0.1 * severity)
    for _ in range(int(rng.integers(1, 3 + int(4 * severity)))):
        u, v = rng.uniform(0.35, 0.85), rng.beta(1.3, 2.6)
        x, y = field.point(canvas.anatomy, u, v)
        radius = rng.uniform(0.02, 0.035 + 0.04 * severity)
        angle = even(0, 2 * np.pi, 40)
        wave = 1 + 0.1 * sin(2 * angle + rng.uniform(0, 6))
        points = np.stack([x + radius * wave * cos(angle), y + radius * 1.15 * wave * sin(angle)], 1)
        field.ink.curve(points[: int(rng.integers(22, 41))], 0.0016, 0.05)
        dx, dy = field.grid.x - np.float32(x), field.grid.y - np.float32(y)
        hole = limit(1.6 - np.sqrt(dx * dx + dy * dy) / np.float32(radius * 0.75))
        field.vessels *= 1 - np.float32(0.8) * hole
        field.aeration *= 1 + np.float32(0.06) * hole
