"""The curves of one chest: where lungs, heart, mediastinum and diaphragm lie on the image.

Lengths are in image sides. "Right" and "left" are the patient's; the patient's right is the image's left,
sign -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import between, cos, power, sin, square
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.seeds import stream

SIGNS = {"right": -1.0, "left": 1.0}
Curve = NDArray[np.float64]
N = TypeVar("N", float, NDArray[np.float64])


@dataclass(frozen=True)
class Lung:
    """One lung.

    Attributes:
        sign: -1 patient's right, 1 left.
        apex: y of the top.
        dome: y of the top of the diaphragm.
        dome_x: lateral position of the dome's top.
        drop: how far below the dome the costophrenic angle lies.
        width: greatest distance of the chest wall from the midline.
        inner: distance of the spine-side limit from the midline.
        cone: by what share the chest narrows from the costophrenic angle to the apex, before it rounds.
    """

    sign: float
    apex: float
    dome: float
    dome_x: float
    drop: float
    width: float
    inner: float
    cone: float

    @property
    def bottom(self) -> float:
        """y of the costophrenic angle."""
        return self.dome + self.drop

    def wall(self, y: N) -> N:
        """Distance of the chest wall from the midline at heights ``y``; 0 above the apex."""
        t = (y - self.apex) / (self.bottom - self.apex)
        rise = between(1 - t / 0.6, 0.0, 1.0)
        # A round top on a cone; both as measured on hand-drawn lung masks of the COVID-19 image collection.
        shape = np.sqrt(np.sqrt(1 - square(rise))) * (1 - self.cone * (1 - between(t, -np.inf, 1.0)))
        taper = 1 - 0.03 * square(between((t - 0.8) / 0.2, 0.0, 1.0))
        wide: N = self.width * shape * taper
        return wide * (t > 0)

    def floor(self, lateral: N) -> N:
        """y of the diaphragm at distances ``lateral`` from the midline."""
        outward = between((lateral - self.dome_x) / (self.width * 0.965 - self.dome_x), 0.0, 1.2)
        inward = between(1 - lateral / self.dome_x, 0.0, 1.5)
        y: N = self.dome + self.drop * power(outward, 2.0) + 0.16 * square(inward)
        return y

    def place(self, u: float, v: float) -> tuple[float, float]:
        """Map lung coordinates (u from spine to wall, v from apex to diaphragm) to lateral distance and y."""
        middle = 0.5 * (self.inner + self.width)
        low = float(self.floor(middle))
        y = self.apex + v * (low - self.apex)
        lateral = self.inner + u * (float(self.wall(y)) - self.inner)
        low = float(self.floor(lateral))
        y = self.apex + v * (low - self.apex)
        return self.inner + u * max(float(self.wall(y)) - self.inner, 0.02), y


@dataclass(frozen=True)
class Anatomy:
    """All curves of one chest.

    Attributes:
        lungs: by side.
        middle: x of the midline at y = 0.5.
        tilt: change of the midline's x over the height of the image.
        bend: how far the midline leaves its straight line at the image's edges: scoliosis, a leaning patient.
        heart: centre (lateral to the left, y), half axes (long, short) and angle of the long axis.
        knob: (y, bulge) of the aortic knob.
        mediastinum: half width of the upper mediastinum.
        carina: y.
        torso: half width of the body below the axillae.
        shoulder: y of the shoulders at the edge of the image.
        neck: half width.
        fat: 0 (thin) to 1 (obese).
        bedside: taken AP.
        zoom: size of the chest on the image, about 1.
    """

    lungs: dict[str, Lung]
    middle: float
    tilt: float
    bend: float
    heart: tuple[float, float, float, float, float]
    knob: tuple[float, float]
    mediastinum: float
    carina: float
    torso: float
    shoulder: float
    neck: float
    fat: float
    bedside: bool
    zoom: float

    def midline(self, y: N) -> N:
        """x of the midline at heights ``y``."""
        off = y - 0.5
        return self.middle + off * (self.tilt + 4 * self.bend * off)

    @property
    def heart_half(self) -> float:
        """Half of the heart's width on the image."""
        _, _, a, b, angle = self.heart
        return float(np.sqrt(square(a * cos(angle)) + square(b * sin(angle))))


def make_anatomy(scene: Scene) -> Anatomy:
    """Derive the curves from patient, technique and the findings that change geometry."""
    body, technique = scene.patient.body, scene.technique
    rng = stream("anatomy", scene.namespace, scene.seed, scene.patient.number)
    own = rng.normal(size=12)
    bedside = technique.view != "PA"
    zoom = technique.zoom
    breath = technique.inspiration
    severity: dict[str, float] = {}
    for finding in scene.findings:
        severity[finding.label] = max(severity.get(finding.label, 0.0), finding.severity)
    emphysema = severity.get("Emphysema", 0.0)
    breath += 2.6 * emphysema + (0.6 if "Emphysema" in severity else 0.0)
    fat = float(np.clip(0.42 + 0.22 * body.habitus, 0.05, 1.0))

    # Lengths as on hand-drawn lung masks: the costophrenic angle lies 0.64 image sides below the apex, the
    # chest wall 0.41 beside the midline, the dome 0.13 (right) and 0.10 (left) of the lung's height up.
    width = zoom * (0.413 + 0.02 * body.breadth - 0.006 * own[0] + 0.004 * breath)
    height = zoom * (
        0.575 + 0.03 * body.stature + 0.036 * breath - (0.03 if bedside else 0.0) - 0.03 * (fat - 0.4)
    )
    middle = 0.445 + technique.shift[1] + (0.0 if bedside else 0.01)
    apex = float(np.clip(middle - 0.56 * height, 0.02, 0.32))
    flat = float(np.clip(1 - 0.75 * emphysema - (0.15 if "Emphysema" in severity else 0), 0.15, 1))
    lungs = {}
    for side, sign in SIGNS.items():
        lift = 0.0 if side == "right" else 0.022 + 0.01 * own[1]
        for finding in scene.findings:
            if finding.side in (side, "bilateral"):
                if finding.label == "Atelectasis":
                    lift -= (0.035 if finding.pattern == "plate" else 0.07) * finding.severity
                if finding.label == "Fibrosis":
                    lift -= 0.06 * finding.severity
                if finding.label == "Pneumothorax" and finding.pattern == "tension":
                    lift += 0.03
        skew = 1 + (0.05 * technique.yaw + 0.025 * own[2]) * sign
        lungs[side] = Lung(
            sign=sign,
            apex=apex + 0.004 * own[2] * sign,
            dome=apex + height + lift,
            dome_x=width * (0.46 + 0.06 * own[3]),
            drop=zoom
            * flat
            * float(np.clip((0.107 if side == "right" else 0.093) + 0.03 * own[4], 0.04, 0.2)),
            width=width * skew,
            inner=width * float(np.clip(0.145 + 0.025 * own[10], 0.08, 0.22)),
            cone=float(np.clip(0.18 + 0.05 * own[11], 0.05, 0.32)),
        )

    ratio = 0.385 + 0.03 * body.heart + (0.035 if bedside else 0.0) - 0.012 * breath
    if "Cardiomegaly" in severity:
        ratio = max(ratio, 0.515 if bedside else 0.495) + 0.015 + 0.12 * severity["Cardiomegaly"]
    else:
        # A normal heart looks larger on bedside films: it lies nearer to the tube.
        ratio = min(ratio, 0.525 if bedside else 0.5)
    ratio = float(np.clip(ratio, 0.33, 0.74))
    half = ratio * width
    angle = float(np.clip(0.62 + 0.06 * own[5] - 0.06 * breath * 0.5, 0.4, 0.85)) * (
        0.9 if ratio > 0.55 else 1.0
    )
    aspect = 0.74 + 0.02 * own[6]
    long = half / float(np.sqrt(square(cos(angle)) + square(aspect * sin(angle))))
    short = long * aspect
    vertical = float(np.sqrt(square(long * sin(angle)) + square(short * cos(angle))))
    floor = min(lungs["left"].dome, lungs["right"].dome + 0.02)
    push = 0.0
    for finding in scene.findings:
        if finding.label == "Pneumothorax" and finding.pattern == "tension":
            push += (0.03 + 0.05 * finding.severity) * -SIGNS[finding.side]
        if finding.label == "Effusion" and finding.side in SIGNS and finding.severity > 0.7:
            push += 0.03 * -SIGNS[finding.side]
        if finding.label == "Atelectasis" and finding.side in SIGNS and finding.pattern == "basal":
            push += 0.025 * finding.severity * SIGNS[finding.side]
    # About a third of the heart lies right of the midline; the rest, with the apex, left.
    heart_x = half * (0.36 + 0.04 * own[7]) + 0.02 * technique.yaw * zoom + push
    heart_y = floor + 0.04 * zoom - vertical * 0.74
    wide = severity.get("Enlarged Cardiomediastinum", 0.0)
    extra = (0.01 + 0.035 * wide) if "Enlarged Cardiomediastinum" in severity else 0.0
    mediastinum = zoom * (0.078 + 0.009 * own[8] + 0.008 * fat + (0.008 if bedside else 0.0) + extra)
    return Anatomy(
        lungs=lungs,
        middle=technique.shift[0] + 0.01 * technique.yaw,
        tilt=technique.tilt,
        bend=0.012 * body.bend,
        heart=(heart_x, heart_y, long, short, angle),
        knob=(apex + 0.06 + 0.26 * height, zoom * (0.018 + 0.026 * body.tortuosity)),
        mediastinum=mediastinum,
        carina=apex + (0.1 + 0.28 * height),
        torso=width + zoom * (0.04 + 0.13 * power(fat, 1.3)),
        shoulder=apex + zoom * (0.05 * own[9] - 0.05 * fat - (0.03 if bedside else 0)),
        neck=zoom * (0.1 + 0.025 * fat),
        fat=fat,
        bedside=bedside,
        zoom=zoom,
    )
