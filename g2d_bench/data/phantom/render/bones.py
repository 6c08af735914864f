"""Spine, ribs, clavicles, scapulae, and what projects with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.phantom.render.canvas import Canvas
from g2d_bench.data.phantom.render.raster import cover, disc, ribbons, smooth, spline
from g2d_bench.data.phantom.seeds import stream

RIBS = 10
"""Pairs of posterior ribs that are drawn."""


def draw_spine(canvas: Canvas) -> None:
    """Vertebral bodies with disc spaces, pedicles and spinous processes."""
    a = canvas.anatomy
    half = 0.047
    part = canvas.grid.part(a.middle - 0.11, 0.0, a.middle + 0.11, 1.0)
    x = part.x - a.midline(part.y.astype(np.float64)).astype(np.float32)
    # Vertebrae grow downwards; the phase counts them.
    apex = a.lungs["right"].apex
    y = part.y - np.float32(apex)
    phase = (y * np.float32(19.5) - y * y * np.float32(4.5)) + np.float32(0.3)
    wave = np.cos(2 * np.pi * phase)
    waist = np.float32(half) * (1 + np.float32(0.07) * wave)
    inside = waist - np.abs(x)
    column = cover(inside, 0.008)
    plates = smooth(wave, 0.72, 1.0)
    value = column * (np.float32(0.075) - np.float32(0.04) * plates)
    value += np.exp(-((inside * np.float32(1 / 0.006)) ** 2)) * np.float32(0.035)
    local = np.abs(phase - np.floor(phase) - np.float32(0.5))
    for offset, wide, high, weight in (
        (-0.027, 0.010, 0.16, 0.05),
        (0.027, 0.010, 0.16, 0.05),
        (0.0, 0.008, 0.3, 0.05),
    ):
        value += np.exp(
            -(((x - np.float32(offset)) / np.float32(wide)) ** 2) - (local / np.float32(high)) ** 2
        ) * np.float32(weight)
    part.of(canvas.attenuation)[...] += value


def _rib_arcs(canvas: Canvas) -> tuple[NDArray[np.float64], ...]:
    """Middle lines of all ribs on the columns of the image: x, y, half width, weight, each [K, C]."""
    a = canvas.anatomy
    size = canvas.grid.size
    rng = stream("ribs", canvas.scene.patient.body.ribs)
    own = rng.normal(size=4)
    wobble = rng.normal(size=(2, RIBS + 2, 3))
    osteo = float(np.clip(1.12 - 0.006 * (canvas.scene.patient.age - 40), 0.7, 1.2))
    columns = (np.arange(size) + 0.5) / size - 0.5
    xs, ys, halves, weights, rims = [], [], [], [], []
    for side, lung in enumerate(a.lungs.values()):
        lateral = lung.sign * (columns - a.middle)
        span = lung.bottom - lung.apex
        outer = lung.width + 0.012
        gap = span * (0.094 + 0.002 * own[0])
        for rib in range(1, RIBS + 1):
            origin = lung.apex + 0.012 + (rib - 1) * gap + 0.002 * wobble[side, rib, 0]
            level = origin + 0.06
            reach = (
                min(float(lung.wall(np.array(level + 0.02 * rib / 2))) + 0.012, outer) if rib > 1 else 0.16
            )
            t = np.clip((lateral - 0.03) / (reach - 0.03), 0, 1)
            tt = np.clip(t, 0, 0.985)
            # Posterior part: level at the spine, then down and round the wall.
            slant = span * (0.05 + 0.007 * rib + 0.006 * own[1])
            turn = span * (0.052 + 0.001 * rib)
            post = (
                origin
                - 0.016 * np.sin(np.pi * np.minimum(t * 1.6, 1))
                + slant * t**1.7
                + turn * (1 - np.sqrt(1 - tt**4))
            )
            ok = (lateral > 0.03) & (lateral < reach)
            thin = 0.0125 * (0.9 + 0.1 * wobble[side, rib, 1] * 0.5) * (1 - 0.12 * (rib == 1))
            xs.append(columns)
            ys.append(post)
            halves.append(np.full(size, thin))
            rims.append(0.6)
            fade = 0.75 + 0.45 * t**3
            weights.append(np.where(ok, 0.072 * osteo * fade * (0.75 if rib > 8 else 1.0), 0.0))
            if rib <= 7:
                # Anterior part: from the wall on down towards the sternum, ending in cartilage.
                end = float(np.interp(rib, [1, 2, 7], [0.07, 0.1, 0.2])) + 0.006 * wobble[side, rib, 2]
                start = origin + slant + turn
                back = np.clip((reach - lateral) / max(reach - end, 0.02), 0, 1.2)
                bb = np.clip(t, 0, 0.985)
                low = span * (0.1 + 0.013 * rib)
                ante = (
                    start
                    + 0.004
                    + low * np.clip(back, 0, 1) ** 0.85
                    - 0.4 * turn * (1 - np.sqrt(1 - bb**4))
                    + 0.25 * turn
                )
                ok = (lateral > end) & (lateral < reach - 0.004)
                soft = np.clip((lateral - end) / 0.05, 0, 1)
                xs.append(columns)
                ys.append(ante)
                halves.append(np.full(size, thin * 1.2))
                rims.append(0.1)
                weights.append(np.where(ok, 0.038 * osteo * soft, 0.0))
        # Clavicle: a shallow S from the sternum up and out to the shoulder.
        rise = (0.045 if not a.bedside else 0.075) + 0.012 * own[2]
        base = (
            lung.apex
            + (0.085 if not a.bedside else 0.06)
            + 0.008 * own[3]
            + 0.01 * lung.sign * canvas.scene.technique.yaw
        )
        start = 0.03 + 0.014 * canvas.scene.technique.yaw * lung.sign
        t = np.clip((lateral - start) / (0.34 - start), 0, 1.4)
        line = base - rise * t + 0.018 * np.sin(2 * np.pi * np.clip(t, 0, 1))
        ok = (lateral > start) & (lateral < 0.4)
        xs.append(columns)
        ys.append(line)
        halves.append(0.0135 + 0.008 * np.exp(-((t / 0.12) ** 2)) + 0.003 * np.clip(t - 0.6, 0, 1))
        rims.append(0.5)
        weights.append(np.where(ok, 0.125 * osteo, 0.0))
    return np.array(xs), np.array(ys), np.array(halves), np.array(weights), np.array(rims)


def draw_ribs(canvas: Canvas) -> None:
    """Ribs and clavicles; a fracture is a step with a gap in one of them."""
    x, y, half, weight, rim = _rib_arcs(canvas)
    for number, finding in enumerate(canvas.scene.findings):
        if finding.label != "Fracture":
            continue
        rng = stream("fracture", finding.key)
        side = 0 if finding.side == "right" else 1
        bands = len(x) // 2
        rib = 2 * int(rng.integers(3, 7)) - 2
        row = side * bands + rib
        live = np.flatnonzero(weight[row] > 0)
        at = live[int((0.35 + 0.3 * rng.random()) * len(live))]
        lateral = np.abs(x[row] - x[row, at])
        outward = (x[row] - x[row, at]) * (1 if side else -1) > 0
        y[row] += np.where(outward, 0.008 + 0.016 * finding.severity, 0.0)
        weight[row] *= 1 - 0.9 * np.exp(-((lateral / 0.006) ** 2))
        # A healing fracture has callus around the gap.
        if finding.pattern != "acute":
            half[row] += 0.006 * np.exp(-((lateral / 0.02) ** 2))
            weight[row] *= 1 + 0.8 * np.exp(-((lateral / 0.02) ** 2))
        cx, cy = float(x[row, at]), float(y[row, at])
        spot = canvas.grid.part(cx - 0.04, cy - 0.04, cx + 0.04, cy + 0.04)
        canvas.mark(number, spot, 1 - disc(spot, cx, cy, 0.034, 0.03), 0.0)
    bones = ribbons(canvas.grid, *(array.astype(np.float32) for array in (x, y, half, weight, rim)))
    # Ribs 11 and 12 and the outlines below the diaphragm drown in the abdomen; nothing is drawn there.
    fade = np.ones(canvas.grid.size, np.float32)[:, None]
    low = max(lung.bottom for lung in canvas.anatomy.lungs.values())
    fade = 1 - 0.75 * smooth(canvas.grid.y, low - 0.06, low + 0.06) * fade
    canvas.attenuation += bones * fade


def draw_shoulders(canvas: Canvas) -> None:
    """Scapulae and humeral heads; on AP films the scapulae lie over the lungs."""
    a, grid = canvas.anatomy, canvas.grid
    rng = canvas.rng("scapula")
    for lung in a.lungs.values():
        shift = (-0.045 if a.bedside else 0.015) + 0.012 * rng.normal()

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
        canvas.ink.curve(border, 0.0038, 0.055)
        lateral = spline(
            [at(out + 0.075, top + 0.14), at(out + 0.045, top + 0.25), at(out + 0.01, top + 0.37)], 40
        )
        canvas.ink.curve(lateral, 0.006, 0.075)
        spine = spline(
            [at(out - 0.04, top + 0.15), at(out + 0.04, top + 0.1), at(out + 0.1, top + 0.055)], 40
        )
        canvas.ink.curve(spine, 0.0075, 0.055)
        left, right = sorted((at(out - 0.07, 0)[0], at(out + 0.12, 0)[0]))
        part = grid.part(left, top + 0.05, right, top + 0.4)
        blade = disc(part, *at(out + 0.005, top + 0.22), 0.05, 0.15, 0.12 * lung.sign)
        part.of(canvas.attenuation)[...] += cover(1 - blade, 0.25) * np.float32(0.025)
        hx, hy = at(out + 0.14 + 0.01 * rng.normal(), top + 0.115)
        spot = grid.part(hx - 0.08, hy - 0.08, hx + 0.08, hy + 0.08)
        head = disc(spot, hx, hy, 0.058, 0.066)
        spot.of(canvas.attenuation)[...] += cover(1 - head, 0.15) * (
            0.05 + 0.03 * np.exp(-(((head - 0.93) / 0.09) ** 2))
        )
        shaft = spline(
            [at(out + 0.13, top + 0.14), at(out + 0.155, top + 0.3), at(out + 0.165, top + 0.5)], 40
        )
        canvas.ink.curve(shaft, 0.016, 0.085)
