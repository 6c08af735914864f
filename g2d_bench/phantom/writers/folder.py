"""A hospital's own films as it might export them: DICOM files, one table, and what an import says of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import (
    age_of,
    csv_text,
    dicom_bytes,
    number_of,
    patient_number,
    write_bytes,
)

COUNT = 240
SIZE = 256
FLAGS = ("Pneumothorax", "Pneumonia", "Effusion", "Cardiomegaly")
"""Labels of the table; the first has masks, the second boxes."""
DESCRIPTION = """# What `g2d-bench data import films --csv films.csv` says of this folder.
films = "films"
table = "films.csv"
flags = ["Pneumothorax", "Pneumonia", "Effusion", "Cardiomegaly"]
listed = []
region = ""
rle = "absolute"

[columns]
image = "image"
patient = "patient"
sex = "sex"
age = "age"
view = "view"
report = "report"
boxes = "boxes"

[masks]

[rles]
Pneumothorax = "rle:Pneumothorax"
"""


def encode_absolute(mask: NDArray[np.bool_]) -> str:
    """Write a mask [H, W] as start and length in turn, pixels counted from 1 down the columns."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    starts, stops = turns[::2], turns[1::2]
    return " ".join(map(str, np.stack([starts + 1, stops - starts], axis=1).ravel().tolist()))


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one DICOM film; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    name = f"F{scene.index:05}.dcm"
    patient = f"H{patient_number(scene, 7)}"
    uids = tuple(f"1.2.826.0.1.3680043.8.{part}.{scene.seed}.{scene.index}" for part in (2, 3, 4))
    jpeg = number_of(scene, "jpeg", digits=2) < 50
    content = dicom_bytes(phantom.image, scene, (uids[0], uids[1], uids[2]), patient, jpeg=jpeg)
    write_bytes(folder / "films" / name, content)
    mask = phantom.masks.get(FLAGS[0])
    boxes = [box for box in phantom.boxes if box.label == FLAGS[1]]
    report = phantom.report
    return {
        "image": name,
        "patient": patient,
        "sex": scene.patient.sex,
        "age": age_of(scene),
        "view": scene.technique.view.split()[0],
        "report": " ".join(report.text.split()) if report is not None else "",
        "flags": [int(label in scene.labels) for label in FLAGS],
        "rle": encode_absolute(mask) if mask is not None and mask.any() else "",
        "boxes": "; ".join(f"{box.label}: {box.x:g} {box.y:g} {box.w:g} {box.h:g}" for box in boxes),
    }


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``films.csv`` and the description."""
    columns = ("image", "patient", "sex", "age", "view", "report")
    rows: list[list[object]] = [[*columns, *FLAGS, f"rle:{FLAGS[0]}", "boxes"]]
    for item in items:
        flags = list(item["flags"])
        # A mask too small for a pixel is none.
        flags[0] = int(bool(item["rle"]))
        rows.append([*(item[column] for column in columns), *flags, item["rle"], item["boxes"]])
    (folder / "films.csv").write_text(csv_text(rows), encoding="utf-8")
    (folder / "folder.toml").write_text(DESCRIPTION, encoding="utf-8")
