"""Montgomery County X-ray Set: PNG films, a mask per lung, and a reading per film."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import age_of, encode, write_bytes

COUNT = 240
SIZE = 256


def is_ill(scene: Scene) -> bool:
    """Say whether anything but devices and objects is to be seen: the sets know normal and abnormal alone."""
    return bool(scene.labels - {DEVICES, OBJECT})


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write a film, its two masks and its reading; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    ill = is_ill(scene)
    stem = f"MCUCXR_{scene.index + 1:04d}_{int(ill)}"
    write_bytes(folder / "CXR_png" / f"{stem}.png", encode(phantom.image, "PNG"))
    for side in ("left", "right"):
        content = encode(phantom.lungs[side].astype(np.uint8) * 255, "PNG")
        write_bytes(folder / "ManualMask" / f"{side}Mask" / f"{stem}.png", content)
    reading = "abnormal (generated)" if ill else "normal"
    text = f"Patient's Sex: {scene.patient.sex}\nPatient's Age: {age_of(scene):03d}Y\n{reading}\n"
    write_bytes(folder / "ClinicalReadings" / f"{stem}.txt", text.encode())
    return {}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write nothing: this release has no tables."""
