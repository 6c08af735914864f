"""Spine, ribs, clavicles, scapulae, and what projects with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from g2d_bench.phantom.anatomy import Curve
from g2d_bench.phantom.arithmetic import cos, cube, exp, interpolate, power, sin, square
from g2d_bench.phantom.render.canvas import Canvas
from g2d_bench.phantom.render.raster import Array, cover, disc, limit, smooth
from g2d_bench.phantom.render.strokes import ribbons, spline
from g2d_bench.phantom.seeds import stream

RIBS = 10
"""Pairs of posterior ribs that are drawn."""

ANTERIOR = 7
"""Pairs whose anterior parts are drawn."""

FRONT_END = interpolate(np.arange(1.0, ANTERIOR + 1), np.array([1, 2, 7]), np.array([0.07, 0.1, 0.2]))
"""How far from the midline their bone ends and cartilage goes on, shape [ANTERIOR]."""


def draw_spine(canvas: Canvas) -> None:
    """Vertebral bodies with disc spaces, pedicles and spinous processes."""
    a = canvas.anatomy
    half = 0.047
    part = canvas.grid.part(a.middle - 0.13, 0.0, a.middle + 0.13, 1.0)
    x = (part.x - a.midline(part.y.astype(np.float64)).astype(np.float32)) * np.float32(1 / a.zoom)
    # Vertebrae grow downwards; the phase counts them.
    apex = a.lungs["right"].apex
    y = (part.y - np.float32(apex)) * np.float32(1 / a.zoom)
    phase = (y * np.float32(19.5) - y * y * np.float32(4.5)) + np.float32(0.3)
    wave = cos((np.float32(2 * np.pi) * phase).astype(np.float32, copy=False))
    waist = np.float32(half) * (1 + np.float32(0.07) * wave)
    inside = waist - np.abs(x)
    column = cover(inside, 0.02)
    plates = smooth(wave, 0.72, 1.0)
    value = column * (np.float32(0.05) - np.float32(0.03) * plates)
    value += exp(-square(inside * np.float32(1 / 0.006))) * np.float32(0.014)
    local = np.abs(phase - np.floor(phase) - np.float32(0.5))
    for offset, wide, high, weight in (
        (-0.027, 0.010, 0.16, 0.05),
        (0.027, 0.010, 0.16, 0.05),
        (0.0, 0.008, 0.3, 0.05),
    ):
        value += exp(
            -square((x - np.float32(offset)) / np.float32(wide)) - square(local / np.float32(high))
        ) * np.float32(weight)
    part.of(canvas.attenuation)[...] += value * np.float32(canvas.scene.technique.look.spine)


@dataclass
class _Bands:
    """Bones that run across: arrays [K, C], the rim [K]; per side posterior ribs, anterior ribs, clavicle."""

    x: Array
    yc: Array
    half: Array
    weight: Array
    rim: Array


def _bands(canvas: Canvas) -> _Bands:
    """Middle lines of ribs and clavicles over the columns of the image."""
    a = canvas.anatomy
    size = canvas.grid.size
    rng = stream("ribs", canvas.scene.patient.body.ribs)
    own = rng.normal(size=4)
    wobble = rng.normal(size=(2, RIBS, 3))
    osteo = float(np.clip(1.12 - 0.006 * (canvas.scene.patient.age - 40), 0.7, 1.2))
    osteo *= canvas.scene.technique.look.bones
    columns = (np.arange(size) + 0.5) / size - 0.5
    yaw = canvas.scene.technique.yaw
    rib = np.arange(1, RIBS + 1)[:, None]
    front = rib[:ANTERIOR]
    # Per group of like bones: their columns, middle lines, half widths, attenuation and rim.
    parts: list[tuple[slice, Curve, Curve, Curve, float]] = []
    for own_side, lung in zip(wobble, a.lungs.values(), strict=True):
        lateral = lung.sign * (columns - a.middle)
        first = a.zoom * (0.035 + 0.014 * yaw * lung.sign)
        # This side of the spine, and a column beyond it, by which the slope of the first one is known.
        there = np.flatnonzero(lateral > min(0.03, first))
        here = slice(max(int(there[0]) - 1, 0), int(there[-1]) + 2)
        lateral = lateral[here]
        span = lung.bottom - lung.apex
        gap = span * (0.097 + 0.002 * own[0])
        origin = lung.apex + 0.004 + (rib - 1) * gap + 0.002 * own_side[:, :1]
        reach = np.minimum(lung.wall(origin + 0.06 + 0.01 * rib), lung.width) + 0.012
        reach[0] = 0.16 * a.zoom
        t = limit((lateral - 0.03) / (reach - 0.03))
        # Posterior part: level at the spine, then down and round the wall.
        slant = span * (0.06 + 0.008 * rib + 0.006 * own[1])
        turn = span * (0.052 + 0.001 * rib)
        bend = turn * (1 - np.sqrt(1 - square(square(np.minimum(t, 0.985)))))
        post = origin - 0.016 * sin(np.pi * np.minimum(t * 1.6, 1)) + slant * power(t, 1.7) + bend
        thin = 0.0142 * a.zoom * (0.9 + 0.05 * own_side[:, 1:2]) * np.where(rib == 1, 0.88, 1.0)
        ok = (lateral > 0.03) & (lateral < reach)
        dense = 0.088 * osteo * (0.75 + 0.4 * cube(t)) * np.where(rib > 8, 0.75, 1.0)
        parts.append((here, post, thin, np.where(ok, dense, 0.0), 0.6))
        # Anterior part: from the wall on down towards the sternum, ending in cartilage.
        reach, bend, turn = reach[:ANTERIOR], bend[:ANTERIOR], turn[:ANTERIOR]
        end = FRONT_END[:, None] + 0.006 * own_side[:ANTERIOR, 2:]
        start = (origin + slant)[:ANTERIOR] + turn
        back = limit((reach - lateral) / (reach - end).clip(0.02))
        low = span * (0.1 + 0.013 * front)
        ante = start + 0.004 + low * power(back, 0.85) - 0.4 * bend + 0.25 * turn
        ok = (lateral > end) & (lateral < reach - 0.004)
        dense = 0.038 * osteo * limit((lateral - end) / 0.05)
        parts.append((here, ante, thin[:ANTERIOR] * 1.2, np.where(ok, dense, 0.0), 0.1))
        # Clavicle: a shallow S from the sternum up and out to the shoulder.
        rise = a.zoom * ((0.085 if a.bedside else 0.04) + 0.03 * own[2])
        base = lung.apex + a.zoom * ((0.06 if a.bedside else 0.09) + 0.02 * own[3] + 0.012 * lung.sign * yaw)
        last = a.zoom * 0.42
        c = ((lateral - first) / (0.86 * last - first)).clip(0, 1.4)
        line = base - rise * c + 0.018 * a.zoom * sin(2 * np.pi * np.minimum(c, 1))
        ok = (lateral > first) & (lateral < last)
        wide = 0.0135 * a.zoom + 0.008 * exp(-square(c / 0.12)) + 0.003 * limit(c - 0.6)
        dense = np.where(ok, 0.13 * osteo * limit((last - lateral) / 0.06), 0.0)
        parts.append((here, line[None], wide[None], dense[None], 0.5))
    rows = sum(len(line) for _, line, *_ in parts)
    yc, half, weight = np.zeros((3, rows, size), np.float32)
    rims = np.zeros(rows, np.float32)
    row = 0
    for here, *curves, rim in parts:
        band = slice(row, row + len(curves[0]))
        yc[band, here], half[band, here], weight[band, here] = curves
        rims[band] = rim
        row = band.stop
    return _Bands(columns.astype(np.float32), yc, half, weight, rims)


HEALED = "healed ribs"
"""The old mark that is drawn with the ribs: healed fractures."""


def _heal(canvas: Canvas, bands: _Bands) -> None:
    """Healed fractures: spindles of callus on neighbouring ribs of one side; they stay with the patient."""
    rng = canvas.mark_rng("healed")
    left = rng.random() < 0.5
    outer, first = rng.uniform(0.6, 0.95), int(rng.integers(2, 6))
    for rib in range(first, first + int(rng.integers(1, 4))):
        row = (len(bands.yc) // 2 if left else 0) + rib
        live = np.flatnonzero(bands.weight[row] > 0)
        if live.size:
            at = live[int((outer if left else 1 - outer) * len(live))]
            callus = exp(-square((bands.x - bands.x[at]) / 0.018))
            bands.half[row] += 0.005 * callus
            bands.weight[row] *= 1 + rng.uniform(0.4, 1.1) * callus


def draw_ribs(canvas: Canvas) -> None:
    """Ribs and clavicles; a fracture is a step with a gap in one of them."""
    bands = _bands(canvas)
    if HEALED in canvas.scene.decoys:
        _heal(canvas, bands)
    for number, finding in enumerate(canvas.scene.findings):
        if finding.label != "Fracture":
            continue
        rng = stream("fracture", finding.key)
        left = finding.side == "left"
        row = (len(bands.yc) // 2 if left else 0) + int(rng.integers(3, 7))
        live = np.flatnonzero(bands.weight[row] > 0)
        outer = 0.35 + 0.3 * rng.random()
        at = live[int((outer if left else 1 - outer) * len(live))]
        offset = bands.x - bands.x[at]
        outward = offset * (1 if left else -1) > 0
        bands.yc[row] += np.where(outward, 0.008 + 0.016 * finding.severity, 0.0)
        bands.weight[row] *= 1 - 0.9 * exp(-square(offset / 0.006))
        # A healing fracture has callus around the gap.
        callus = exp(-square(offset / 0.02))
        bands.half[row] += 0.006 * callus
        bands.weight[row] *= 1 + 0.8 * callus
        cx, cy = float(bands.x[at]), float(bands.yc[row, at])
        spot = canvas.grid.part(cx - 0.04, cy - 0.04, cx + 0.04, cy + 0.04)
        canvas.mark(number, spot, 1 - disc(spot, cx, cy, 0.034, 0.03), 0.0)
    bones = ribbons(canvas.grid, bands.x, bands.yc, bands.half, bands.weight, bands.rim)
    # Ribs 11 and 12 and the outlines below the diaphragm drown in the abdomen; nothing is drawn there.
    low = max(lung.bottom for lung in canvas.anatomy.lungs.values())
    fade = 1 - np.float32(0.75) * smooth(canvas.grid.y, low - 0.06, low + 0.06)
    canvas.attenuation += bones * fade * canvas.body * (1 - np.float32(0.55) * canvas.shadow)


def draw_shoulders(canvas: Canvas) -> None:
    """Scapulae and humeral heads; on AP films the scapulae lie over the lungs."""
    a, grid = canvas.anatomy, canvas.grid
    rng = canvas.rng("scapula")
    for lung in a.lungs.values():
        shift = a.zoom * ((-0.05 if a.bedside else 0.01) + 0.025 * rng.normal())
        dense = canvas.scene.technique.look.bones

        def at(lateral: float, y: float, lung: object = lung, sign: float = lung.sign) -> tuple[float, float]:
            return a.middle + sign * lateral, y

        out, top = lung.width + shift, lung.apex
        border = spline(
            [
                at(out - 0.03, top + 0.1),
                at(out - 0.055, top + 0.2),
                at(out - 0.03, top + 0.33),
                at(out + 0.005, top + 0.37),
            ],
            50,
        )
        canvas.ink.curve(border, 0.0038, 0.055 * dense)
        lateral = spline(
            [at(out + 0.075, top + 0.14), at(out + 0.045, top + 0.25), at(out + 0.01, top + 0.37)], 40
        )
        canvas.ink.curve(lateral, 0.006, 0.075 * dense)
        spine = spline(
            [at(out - 0.04, top + 0.15), at(out + 0.04, top + 0.1), at(out + 0.1, top + 0.055)], 40
        )
        canvas.ink.curve(spine, 0.0075, 0.055 * dense)
        left, right = sorted((at(out - 0.07, 0)[0], at(out + 0.12, 0)[0]))
        part = grid.part(left, top + 0.05, right, top + 0.4)
        blade = disc(part, *at(out + 0.005, top + 0.22), 0.05, 0.15, 0.12 * lung.sign)
        part.of(canvas.attenuation)[...] += cover(1 - blade, 0.25) * np.float32(0.03 * dense)
        hx, hy = at(out + 0.12 + 0.01 * rng.normal(), top + 0.115)
        spot = grid.part(hx - 0.08, hy - 0.08, hx + 0.08, hy + 0.08)
        head = disc(spot, hx, hy, 0.058, 0.066)
        spot.of(canvas.attenuation)[...] += cover(1 - head, 0.15) * (
            np.float32(0.055 * dense) + np.float32(0.03 * dense) * exp(-square((head - 0.93) / 0.09))
        )
        shaft = spline(
            [at(out + 0.13, top + 0.14), at(out + 0.155, top + 0.3), at(out + 0.165, top + 0.5)], 40
        )
        canvas.ink.curve(shaft, 0.016, 0.085 * dense)
