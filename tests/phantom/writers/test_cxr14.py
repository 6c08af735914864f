"""The layout of ChestX-ray14."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_cxr14_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("cxr14")
    header = (folder / "Data_Entry_2017_v2020.csv").read_text().splitlines()[0]
    assert header.endswith("View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]")
    assert (folder / "BBox_List_2017.csv").read_text().splitlines()[
        0
    ] == "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    samples = read(folder)
    assert all(sample.split == "test" for sample in samples if sample.boxes)
    assert any(sample.boxes for sample in samples)
    assert {sample.split for sample in samples} == {"train", "test"}
    patients = [
        {sample.patient for sample in samples if sample.split == split} for split in ("train", "test")
    ]
    assert not patients[0] & patients[1]
