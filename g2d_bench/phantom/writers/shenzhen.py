"""Shenzhen Hospital X-ray Set: PNG films, a reading per film, and lung masks for most of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import age_of, encode, number_of, write_bytes
from g2d_bench.phantom.writers.montgomery import is_ill

COUNT = 480
SIZE = 256
MASKED = 85
"""Share of the films, in percent, with a mask."""


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write a film, its reading and, for most, its lung mask; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    ill = is_ill(scene)
    stem = f"CHNCXR_{scene.index + 1:04d}_{int(ill)}"
    write_bytes(folder / "CXR_png" / f"{stem}.png", encode(phantom.image, "PNG"))
    if number_of(scene, "mask", digits=2) < MASKED:
        both = np.logical_or(*(phantom.lungs[side] for side in ("right", "left")))
        write_bytes(folder / "mask" / f"{stem}_mask.png", encode(both.astype(np.uint8) * 255, "PNG"))
    sex = "male" if scene.patient.sex == "M" else "female"
    reading = "abnormal (generated)" if ill else "normal"
    write_bytes(
        folder / "ClinicalReadings" / f"{stem}.txt", f"{sex}  {age_of(scene)}yrs\n{reading}\n".encode()
    )
    return {}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write nothing: this release has no tables."""
