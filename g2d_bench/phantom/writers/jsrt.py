"""JSRT with SCR: raw films of 12 bits, GIF masks in two folds, and two lists of clinical data."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import age_of, number_of, write_bytes

COUNT = 240
SIZE = 256
DEEPEST = 4095


def _gif(mask: NDArray[np.bool_]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "GIF")
    return stream.getvalue()


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write a raw film and its masks; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    ill = scene.has("Nodule")
    number = scene.index + 1
    stem = f"JPC{'L' if ill else 'N'}N{number:03d}"
    # The database stores density: dark parts of the viewer's picture have the great values.
    values = DEEPEST - np.rint(phantom.image.astype(np.float64) * (DEEPEST / 255))
    write_bytes(folder / "All247images" / f"{stem}.IMG", values.astype(">u2").tobytes())
    masks = {"left lung": phantom.lungs["left"], "right lung": phantom.lungs["right"], "heart": phantom.heart}
    fold = folder / "scratch" / f"fold{1 if number % 2 else 2}" / "masks"
    for organ, mask in masks.items():
        write_bytes(fold / organ / f"{stem}.gif", _gif(mask))
    sex = "Male" if scene.patient.sex == "M" else "Female"
    box = next((box for box in phantom.boxes if box.label == "Nodule"), None)
    if box is None:
        return {"ill": ill, "row": f"{stem}.IMG\t{age_of(scene)}\t{sex}\tnon-nodule"}
    x, y = round(box.x + box.w / 2), round(box.y + box.h / 2)
    subtlety = 1 + number_of(scene, "subtlety", digits=1) % 5
    row = f"{stem}.IMG\t{subtlety}\t{round(box.w)}\t{age_of(scene)}\t{sex}\t{x}\t{y}\tbenign\tlung\tgenerated"
    return {"ill": ill, "row": row}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the lists of films with and without a nodule."""
    for name, ill in (("CLNDAT_EN.txt", True), ("CNNDAT_EN.TXT", False)):
        rows = sorted(item["row"] for item in items if item["ill"] is ill)
        (folder / name).write_text("\r\n".join([*rows, ""]), encoding="ascii", newline="")
