"""The layout of object-CXR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.phantom.writers.object_cxr import outline


def test_object_cxr_layout(make: Any, rows: Callable[[Path], list[list[str]]]) -> None:
    folder = make("object-cxr")
    cells = [row[1] for part in ("train", "dev") for row in rows(folder / f"{part}.csv")[1:]]
    assert rows(folder / "train.csv")[0] == ["image_name", "annotation"]
    assert "" in cells
    shapes = [shape.split() for cell in cells if cell for shape in cell.split(";")]
    assert {shape[0] for shape in shapes} == {"0", "1", "2"}
    corners = [list(map(int, shape[1:])) for shape in shapes if shape[0] != "2"]
    assert any(x1 > x2 or y1 > y2 for x1, y1, x2, y2 in corners)
    assert all(len(shape) >= 7 for shape in shapes if shape[0] == "2")


def test_outline_encloses() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[10:20, 5:25] = True
    points = outline(mask)
    assert {(5, 10), (24, 10), (24, 19), (5, 19)} <= set(points)
    assert len(outline(mask[:1] | True)) >= 2
