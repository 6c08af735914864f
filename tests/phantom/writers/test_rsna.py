"""The layout of RSNA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.phantom.writers.rsna import opacity_boxes


def test_rsna_layout(make: Any, rows: Callable[[Path], list[list[str]]]) -> None:
    import pydicom

    folder = make("rsna")
    table = rows(folder / "stage_2_train_labels.csv")
    assert table[0] == ["patientId", "x", "y", "width", "height", "Target"]
    positive = [row for row in table[1:] if row[5] == "1"]
    assert positive
    assert all(cell.endswith(".0") for row in positive for cell in row[1:5])
    assert all(row[1:5] == [""] * 4 for row in table[1:] if row[5] == "0")
    classes = rows(folder / "stage_2_detailed_class_info.csv")
    assert sorted(row[0] for row in classes[1:]) == sorted(row[0] for row in table[1:])
    assert {row[1] for row in classes[1:]} == {"Normal", "Lung Opacity", "No Lung Opacity / Not Normal"}
    header = pydicom.dcmread(next((folder / "stage_2_train_images").iterdir()))
    assert header.file_meta.TransferSyntaxUID.name.startswith("JPEG Baseline")


def test_boxes_of_patches() -> None:
    mask = np.zeros((100, 100), np.bool_)
    assert opacity_boxes(mask) == []
    mask[1, 1] = True
    assert opacity_boxes(mask) == [(1, 1, 1, 1)]
    mask[40:60, 10:30] = mask[40:50, 70:80] = True
    assert opacity_boxes(mask) == [(10, 40, 20, 20), (70, 40, 10, 10)]
