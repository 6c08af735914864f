"""ChestX-Det10: PNG files and two JSON lists, with the corners of each box in whole pixels."""

from __future__ import annotations

import json
from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.render.opacities import is_calcified
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import encode, patient_number, place_in_block, write_bytes

COUNT = 1200
SIZE = 256
FINDINGS = (
    "Atelectasis",
    "Consolidation",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
"""Findings that are boxed under their own name; a calcified nodule is a calcification."""


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one PNG file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    name = f"{patient_number(scene, 5)}.png"
    part = "test" if place_in_block(scene) in (1, 4) else "train"
    write_bytes(folder / f"{part}_data" / name, encode(phantom.image, "PNG"))
    words: list[str] = []
    corners: list[list[int]] = []
    for finding, boxes in zip(scene.findings, phantom.finding_boxes, strict=True):
        if finding.label not in FINDINGS:
            continue
        for box in boxes:
            calcified = finding.label == "Nodule" and is_calcified(finding)
            words.append("Calcification" if calcified else finding.label)
            corners.append([int(n) for n in (box.x, box.y, box.x + box.w, box.y + box.h)])
    return {"part": part, "entry": {"file_name": name, "syms": words, "boxes": corners}}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the two lists."""
    for part in ("train", "test"):
        entries = [item["entry"] for item in items if item["part"] == part]
        (folder / f"{part}.json").write_text(json.dumps(entries), encoding="utf-8")
