"""RSNA Pneumonia Detection Challenge, stage 2: JPEG-compressed DICOM files, a box table, a class table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import dicom_bytes, number_of, uuid_of, write_bytes

COUNT = 3000
SIZE = 256
ROOT = "1.2.276.0.7230010.3.1"
LEAST = 0.002
"""Share of the image below which a separate patch gets no box of its own."""


def opacity_boxes(mask: NDArray[np.bool_], limit: int = 4) -> list[tuple[int, int, int, int]]:
    """Box the connected parts of a mask, largest first, as readers do: one box per separate patch.

    Returns:
        Left, top, width, height in pixels; none for an empty mask, at least one for any other.
    """
    from scipy.ndimage import find_objects, label

    components, count = label(mask)
    if not count:
        return []
    areas = np.bincount(components.ravel())[1:]
    found = find_objects(components)
    boxes: list[tuple[int, int, int, int]] = []
    for number in np.argsort(-areas, kind="stable")[:limit]:
        if boxes and areas[number] < LEAST * mask.size:
            break
        rows, columns = found[number]
        boxes.append((columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start))
    return boxes


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one DICOM file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    patient = uuid_of(scene)
    stem = f"8323329.{number_of(scene, 'process', digits=5) + 1}.151787{scene.index:04d}"
    uids = (f"{ROOT}.2.{stem}.1", f"{ROOT}.3.{stem}.2", f"{ROOT}.4.{stem}.3")
    # The release has a few impossible ages, up to 155.
    age = 148 + scene.index % 8 if number_of(scene, "age", digits=4) < 4 else None
    content = dicom_bytes(phantom.image, scene, uids, patient, jpeg=True, age=age)
    write_bytes(folder / "stage_2_train_images" / f"{patient}.dcm", content)
    mask = phantom.masks.get("Pneumonia")
    boxes = opacity_boxes(mask) if mask is not None else []
    other = scene.labels - {DEVICES, OBJECT}
    word = "Lung Opacity" if boxes else "No Lung Opacity / Not Normal" if other else "Normal"
    return {"patient": patient, "boxes": boxes, "class": word}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the box table and the class table, one row per box; the two are in different orders."""
    items = sorted(items, key=lambda item: str(item["patient"]))
    boxes, classes = ["patientId,x,y,width,height,Target"], []
    for item in items:
        rows = [f"{','.join(f'{value:.1f}' for value in box)},1" for box in item["boxes"]] or [",,,,0"]
        boxes += [f"{item['patient']},{row}" for row in rows]
        classes += [f"{item['patient']},{item['class']}" for _ in rows]
    classes.sort(key=lambda row: digest("rsna order", row, bits=64))
    (folder / "stage_2_train_labels.csv").write_text("\n".join(boxes) + "\n", encoding="utf-8")
    text = "\n".join(["patientId,class", *classes]) + "\n"
    (folder / "stage_2_detailed_class_info.csv").write_text(text, encoding="utf-8")
