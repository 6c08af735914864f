"""The parameters of one generated image: who, how taken, what is to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from g2d_bench.phantom.arithmetic import total
from g2d_bench.phantom.look import Look, make_look
from g2d_bench.phantom.seeds import Stream, digest, stream

BLOCK = 12
"""Images are dealt to patients in blocks of this many, so that image k needs nothing but its own block."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to be seen.

    Attributes:
        label: one of :data:`labels.DRAWN`.
        side: "right", "left" (the patient's), "bilateral" or "".
        zone: a region such as "apical", "upper", "mid", "lower", "basal", "perihilar", or "".
        severity: 0 (just there) to 1 (extreme); size and density follow from it.
        subtle: drawn faint on purpose.
        pattern: the variant of its drawing, such as "plate" or "lobar" for an atelectasis.
        key: seed of the details of its shape.
        change: against the prior study: "new", "unchanged", "larger", "smaller", or "" without prior.
    """

    label: str
    side: str = ""
    zone: str = ""
    severity: float = 0.5
    subtle: bool = False
    pattern: str = ""
    key: int = 0
    change: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """A patient's anatomy, as numbers around 0 (standard deviations) or in 0..1.

    Attributes:
        habitus: fat and muscle, -2 thin to 2 obese.
        stature: lung height.
        breadth: thorax width.
        heart: heart width.
        tortuosity: how unfolded the aorta is, 0..1.
        bend: how far the spine bends to the right.
        ribs: seed of the rib cage and of the vessel tree.
    """

    habitus: float
    stature: float
    breadth: float
    heart: float
    tortuosity: float
    bend: float
    ribs: int


@dataclass(frozen=True, slots=True)
class Patient:
    """Who: an identity that no two data sets or seeds share.

    Attributes:
        namespace: the data set.
        number: running number in the data set.
        uid: unique word: hash of namespace and seed, then the number.
        sex: "M" or "F".
        age: years at the first study.
        body: the anatomy.
        images: how many images this patient has.
    """

    namespace: str
    number: int
    uid: str
    sex: str
    age: int
    body: Body
    images: int


@dataclass(frozen=True, slots=True)
class Technique:
    """How the image was taken.

    Attributes:
        view: "PA", "AP" or "AP supine".
        inspiration: -2 (poor) to 2 (deep).
        yaw: rotation of the patient, about -1..1.
        tilt: slope of the midline.
        shift: (x, y) of the patient on the image, in image sides.
        zoom: size of the chest on the image.
        noise: standard deviation of the quantum noise at 256 px, in grey shares.
        blur: standard deviation of the blur in image sides.
        collimation: width of the black margins (left, top, right, bottom), in image sides.
        cut: what a film that is not square lacks of the square (left, top, right, bottom), in image sides.
        marker: letter of the side marker, or "".
        look: what becomes of the beam.
    """

    view: str
    inspiration: float
    yaw: float
    tilt: float
    shift: tuple[float, float]
    zoom: float
    noise: float
    blur: float
    collimation: tuple[float, float, float, float]
    cut: tuple[float, float, float, float]
    marker: str
    look: Look


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a renderer and a reporter need to know of one image.

    Attributes:
        namespace: the data set.
        index: number of the image in it.
        seed: of the data set.
        patient: who.
        order: number of this image among the patient's, from 0.
        technique: how.
        findings: what is to be seen (devices and objects included), in the order of drawing.
        decoys: look-alikes that are no finding, named in :data:`render.decoys.DECOYS`, or
            healed ribs.
        resolved: labels of the prior study that are gone.
        notes: further free facts for the writers.
    """

    namespace: str
    index: int
    seed: int
    patient: Patient
    order: int
    technique: Technique
    findings: tuple[Finding, ...] = ()
    decoys: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def has(self, label: str) -> bool:
        """Whether a finding of that label is present."""
        return any(finding.label == label for finding in self.findings)

    @property
    def labels(self) -> frozenset[str]:
        """All labels present."""
        return frozenset(finding.label for finding in self.findings)

    @property
    def supine(self) -> bool:
        """Whether the patient lies."""
        return self.technique.view == "AP supine"


def locate(namespace: str, seed: int, index: int, shares: tuple[float, ...]) -> tuple[int, int, int]:
    """Find the patient of an image.

    Args:
        namespace: the data set.
        seed: its seed.
        index: number of the image.
        shares: share of patients with 1, 2, ... images.

    Returns:
        Number of the patient, number of the image among the patient's, and how many the patient has.
    """
    if len(shares) == 1:
        return index, 0, 1
    block, place = divmod(index, BLOCK)
    rng = stream("block", namespace, seed, block)
    weights = np.cumsum(shares) / total(shares)
    first, number = 0, 0
    while True:
        count = min(int(np.searchsorted(weights, rng.random(), side="right")) + 1, BLOCK - first)
        if place < first + count:
            return block * BLOCK + number, place - first, count
        first, number = first + count, number + 1


def make_patient(namespace: str, seed: int, number: int, images: int) -> Patient:
    """Draw a patient."""
    rng = stream("patient", namespace, seed, number)
    sex = "M" if rng.random() < 0.54 else "F"
    age = int(np.clip(rng.normal(57, 18), 16, 94))
    normal = rng.normal(size=4)
    body = Body(
        habitus=float(np.clip(normal[0] + 0.2, -1.8, 2.2)),
        stature=float(np.clip(normal[1] + (0.35 if sex == "M" else -0.35), -2, 2)),
        breadth=float(np.clip(normal[2] + (0.3 if sex == "M" else -0.3), -2, 2)),
        heart=float(np.clip(normal[3], -2, 1.6)),
        tortuosity=float(np.clip((age - 40) / 45 + rng.normal(0, 0.2), 0, 1)),
        bend=float(np.clip(rng.normal() * (1.0 if rng.random() < 0.8 else 3.0), -4, 4)),
        ribs=int(rng.integers(2**62)),
    )
    uid = f"{digest('namespace', namespace, seed, bits=32):08x}{number:06d}"
    return Patient(namespace, number, uid, sex, age, body, images)


def make_technique(rng: Stream, view: str, patient: Patient, *, square: bool = True) -> Technique:
    """Draw how an image is taken: bedside films are worse in every respect.

    Args:
        rng: the image's stream.
        view: "PA", "AP" or "AP supine".
        patient: who.
        square: whether the data set's films are, else they have the sides of real ones.
    """
    bedside = view != "PA"
    sloppy = 1.5 if bedside else 1.0
    return Technique(
        view=view,
        inspiration=float(np.clip(rng.normal(-0.8 if bedside else 0.2, 0.9), -2.2, 2)),
        yaw=float(np.clip(rng.normal(0, 0.45 * sloppy), -1.6, 1.6)),
        tilt=float(rng.normal(0, 0.045 * sloppy)),
        shift=(float(rng.normal(0, 0.024 * sloppy)), float(rng.normal(0, 0.035))),
        zoom=float(np.clip(rng.normal(1.02, 0.09), 0.76, 1.22)),
        noise=float(
            rng.uniform(0.003, 0.016) * (1.4 if bedside else 1.0) * (1 + 0.2 * max(0, patient.body.habitus))
        ),
        blur=float(rng.uniform(0.0008, 0.0026 if bedside else 0.0018)),
        collimation=_margins(rng, bedside),
        marker=rng.choice(("L", "R", "L", "")),
        look=make_look(rng, view),
        cut=(0.0, 0.0, 0.0, 0.0) if square else _cut(rng),
    )


def _margins(rng: Stream, bedside: bool) -> tuple[float, float, float, float]:
    """Black margins: shutters at single edges, now and then all round."""
    shut = rng.random(4) < (0.07 if bedside else 0.05)
    wide = rng.uniform(0.0, 0.05, 4)
    if rng.random() < 0.04:
        shut[:] = True
    left, top, right, bottom = (float(w) if s else 0.0 for s, w in zip(shut, wide, strict=True))
    return left, top, right, bottom


def _cut(rng: Stream) -> tuple[float, float, float, float]:
    """Cut the film to a width of 1.07 heights, with a deviation of 0.12, as real ones have."""
    shape = float(np.clip(rng.normal(1.07, 0.12), 0.8, 1.35))
    share = rng.random()
    if shape > 1:
        off = 1 - 1 / shape
        return 0.0, off * share, 0.0, off * (1 - share)
    off = 1 - shape
    share = 0.3 + 0.4 * share
    return off * share, 0.0, off * (1 - share), 0.0
