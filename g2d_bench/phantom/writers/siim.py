"""SIIM-ACR Pneumothorax: nested DICOM files and the run-length table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import dicom_bytes, number_of, write_bytes

COUNT = 1500
SIZE = 256
ROOT = "1.2.276.0.7230010.3.1"


def encode_relative(mask: NDArray[np.bool_]) -> str:
    """Write a mask as the table does: gap and length in turn, down the columns, each gap from the run before.

    Args:
        mask: shape [H, W].

    Returns:
        The text, ``-1`` for an empty mask.
    """
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    if not turns.size:
        return "-1"
    starts, stops = turns[::2], turns[1::2]
    gaps = starts - np.concatenate([[0], stops[:-1]])
    return " ".join(map(str, np.stack([gaps, stops - starts], 1).ravel().tolist()))


def split_mask(mask: NDArray[np.bool_], pieces: int) -> list[NDArray[np.bool_]]:
    """Split a mask into up to ``pieces`` parts for several rows: by component, then by height.

    Returns:
        Parts that do not overlap, none empty, whose union is the mask.
    """
    from scipy.ndimage import label

    components, count = label(mask)
    parts = [components == number for number in range(1, count + 1)]
    parts.sort(key=lambda part: -int(part.sum()))
    while len(parts) > pieces:
        parts[-2:] = [parts[-2] | parts[-1]]
    while parts and len(parts) < pieces:
        rows = np.flatnonzero(parts[0].any(1))
        if len(rows) < 4:
            break
        cut = int(rows[len(rows) // 2])
        upper, lower = parts[0].copy(), parts[0].copy()
        upper[cut:] = False
        lower[:cut] = False
        parts[:1] = [upper, lower]
        parts.sort(key=lambda part: -int(part.sum()))
    return parts


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one DICOM file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    process, clock = number_of(scene, "process", digits=5) + 1, 1517875160 + scene.index // 37
    stem = f"8323329.{process}.{clock}.{number_of(scene, 'fraction', digits=6)}"
    study, series, sop = f"{ROOT}.2.{stem}", f"{ROOT}.3.{stem}", f"{ROOT}.4.{stem}"
    # One running number per image makes the identifiers unique, as their clock does in the real ones.
    sop = f"{sop[:-1]}{scene.index}"
    series, study = f"{series[:-1]}{scene.index}", f"{study[:-1]}{scene.index}"
    jpeg = number_of(scene, "jpeg", digits=2) < 50
    content = dicom_bytes(phantom.image, scene, (study, series, sop), scene.patient.uid, jpeg=jpeg)
    write_bytes(folder / "dicom-images-train" / study / series / f"{sop}.dcm", content)
    mask = phantom.masks.get("Pneumothorax")
    if mask is None or not mask.any():
        return {"id": sop, "rle": ["-1"]}
    # 624 of 2,669 positives of the release have several rows.
    draw = number_of(scene, "rows", digits=3)
    pieces = 1 if draw < 766 else 2 if draw < 934 else 3 if draw < 976 else 4
    return {"id": sop, "rle": [encode_relative(part) for part in split_mask(mask, pieces)]}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``train-rle.csv``, in an order that has nothing to do with the images'."""
    items = sorted(items, key=lambda item: str(item["id"])[::-1])
    lines = ["ImageId, EncodedPixels"]
    lines += [f"{item['id']},{text}" for item in items for text in item["rle"]]
    (folder / "train-rle.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
