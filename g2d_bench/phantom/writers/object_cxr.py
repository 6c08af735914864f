"""Object-CXR: JPEG files and drawn shapes, some of them with reversed corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import cos, sin
from g2d_bench.phantom.generate import Phantom, mask_box
from g2d_bench.phantom.labels import OBJECT
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import csv_text, encode, number_of, write_bytes

COUNT = 3000
SIZE = 256
DEV = 7
"""One image in this many is in the dev part (one in nine in the release, whose parts are larger)."""

SHAPES = {"button": 1, "coin": 1, "necklace": 2, "pin": 2, "bra wire": 2}
"""Kind of object to shape: 1 ellipse, 2 polygon; others 0, rectangle."""


def outline(mask: NDArray[np.bool_], corners: int = 10) -> list[tuple[int, int]]:
    """Convex outline of a mask with at most ``corners`` points, or fewer than three for a line or a dot.

    Returns:
        Points (x, y) in turn, in whole pixels.
    """
    rows, columns = np.nonzero(mask)
    angles = 2 * np.pi * np.arange(corners) / corners
    reach = cos(angles)[:, None] * columns + sin(angles)[:, None] * rows
    points: list[tuple[int, int]] = []
    for place in reach.argmax(1):
        point = int(columns[place]), int(rows[place])
        if point not in points:
            points.append(point)
    return points


def _shape(mask: NDArray[np.bool_], kind: str, draw: int) -> str | None:
    box = mask_box(mask, OBJECT)
    if box is None:
        return None
    shape = SHAPES.get(kind, 0)
    if shape == 2:
        points = outline(mask)
        if len(points) >= 3 and np.ptp([x for x, _ in points]) and np.ptp([y for _, y in points]):
            return " ".join(["2", *(f"{x} {y}" for x, y in points)])
        shape = 0
    x1, y1, x2, y2 = int(box.x), int(box.y), int(box.x + box.w), int(box.y + box.h)
    # Drawn from any corner: in the release, too, the second is not always below and right of the first.
    if draw % 10 < 2:
        x1, x2 = x2, x1
    if draw % 10 in (1, 2):
        y1, y2 = y2, y1
    return f"{shape} {x1} {y1} {x2} {y2}"


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one JPEG file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    part = "dev" if scene.index % DEV == 1 else "train"
    # In the release, too, numbers run on from train to dev.
    prefix = digest("namespace", scene.namespace, scene.seed, bits=32) % 90 + 10
    name = f"{prefix}{scene.index + (900_000 if part == 'dev' else 0):06d}.jpg"
    write_bytes(folder / part / name, encode(phantom.image, "JPEG"))
    shapes = []
    for number, (finding, mask) in enumerate(zip(scene.findings, phantom.finding_masks, strict=True)):
        if finding.label == OBJECT:
            shapes.append(_shape(mask, finding.pattern, number_of(scene, "corner", number, digits=3)))
    return {"part": part, "name": name, "shapes": list(dict.fromkeys(shape for shape in shapes if shape))}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``train.csv`` and ``dev.csv``; an image without objects has an empty cell."""
    for part in ("train", "dev"):
        rows = [[item["name"], ";".join(item["shapes"])] for item in items if item["part"] == part]
        text = csv_text([["image_name", "annotation"], *sorted(rows)])
        (folder / f"{part}.csv").write_text(text, encoding="utf-8")
        (folder / part).mkdir(exist_ok=True)
