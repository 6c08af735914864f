"""What detector, processing and print make of the beam: the look of one film.

The ranges are set so that grey values, contrasts and detail of generated films spread as those of the frontal
films of the COVID-19 image collection (Cohen et al., arXiv 2003.11597) do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import exp
from g2d_bench.phantom.seeds import Stream


@dataclass(frozen=True, slots=True)
class Look:
    """How attenuation becomes grey.

    Attributes:
        speed: how early the film curve saturates; more means brighter lungs in a flatter picture.
        toe: how long the curve stays dark at first, 0..1.
        equal: share of the coarse contrast that processing takes away, negative where scatter is left.
        detail: factor on the fine contrast.
        black: grey of the unattenuated beam, 0..1.
        white: grey of the densest parts, 0..1.
        slant: change of attenuation across the film (to the right, downwards): the anode's heel, a patient
            who lies askew.
        spine: how clearly the spine shows.
        bones: contrast of ribs, clavicles and scapulae; falls with the tube's voltage.
        lines: height of the lines that a scatter grid leaves, in grey shares; mostly 0.
        captions: words burned in.
    """

    speed: float
    toe: float
    equal: float
    detail: float
    black: float
    white: float
    slant: tuple[float, float]
    spine: float
    bones: float
    lines: float
    captions: tuple[str, ...]


def make_look(rng: Stream, view: str) -> Look:
    """Draw the look of a film: three families of devices, each with its spread."""
    bedside = view != "PA"
    draw = rng.random(8)
    normal = rng.normal(size=9)
    if draw[0] < 0.34:  # shown as the detector gives it
        equal, detail = 0.3 + 0.15 * normal[0], 1.0 + 0.15 * normal[1]
        black, white = 0.05 + 0.22 * draw[1] * draw[1], 0.68 + 0.1 * normal[2]
    elif draw[0] < 0.8:  # processed for the screen
        equal, detail = 0.55 + 0.12 * normal[0], 1.25 + 0.25 * normal[1]
        black, white = 0.0, 0.86 + 0.07 * normal[2]
    else:  # printed on film
        equal, detail = 0.05 + 0.2 * normal[0], 1.0 + 0.15 * normal[1]
        black, white = 0.03 * draw[1], 0.93 + 0.06 * normal[2]
    return Look(
        speed=float(np.clip(0.95 * exp(0.4 * float(normal[3])), 0.4, 3.0)),
        toe=float(np.clip(0.25 + 0.25 * normal[4], 0.0, 0.8)),
        equal=float(np.clip(equal - (0.08 if bedside else 0.0), -0.3, 0.8)),
        detail=float(np.clip(detail, 0.6, 2.3)),
        black=float(black),
        white=float(np.clip(white, 0.45, 1.0)),
        slant=(float(0.14 * normal[5] * (1.4 if bedside else 1.0)), float(0.06 * normal[6])),
        spine=float(np.clip(1.6 + 0.7 * normal[7], 0.3, 3.2)),
        bones=float(0.85 * exp(0.28 * float(normal[8]))),
        lines=float(0.012 * draw[3]) if draw[2] < (0.08 if bedside else 0.02) else 0.0,
        captions=_captions(rng, view, draw),
    )


def _captions(rng: Stream, view: str, draw: NDArray[np.float64]) -> tuple[str, ...]:
    """Words that tell the view, or something else; the view is burned in more often on bedside films."""
    if draw[4] > (0.35 if view != "PA" else 0.12):
        return ()
    words = {
        "PA": ("PA", "PA ERECT", "ERECT", "CHEST PA"),
        "AP": ("AP", "AP ERECT", "PORTABLE", "MOBILE", "SITTING", "AP SITTING"),
        "AP supine": ("SUPINE", "AP SUPINE", "PORTABLE", "MOBILE AP", "SUPINE AP"),
    }[view]
    lines = [rng.choice(words)]
    if draw[5] < 0.4:
        hour, minute = int(rng.integers(0, 24)), int(rng.integers(0, 60))
        lines.append(f"{hour:02d}{minute:02d} HRS" if draw[6] < 0.5 else f"{hour}.{minute:02d}")
    return tuple(lines)
