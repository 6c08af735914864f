"""The layout of MS-CXR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_ms_cxr_layout(
    make: Any, read: Callable[[Path], list[Sample]], rows: Callable[[Path], list[list[str]]]
) -> None:
    folder = make("ms-cxr")
    table = rows(folder / "MS_CXR_Local_Alignment_v1.1.0.csv")
    assert (
        ",".join(table[0]) == "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"
    )
    by_csv = read(folder)
    assert all(sample.phrases for sample in by_csv)
    (folder / "MS_CXR_Local_Alignment_v1.1.0.csv").rename(folder / "kept.csv")
    try:
        by_json = read(folder)
    finally:
        (folder / "kept.csv").rename(folder / "MS_CXR_Local_Alignment_v1.1.0.csv")
    phrases = [
        {(sample.id, phrase.text, phrase.boxes) for sample in part for phrase in sample.phrases}
        for part in (by_csv, by_json)
    ]
    assert {(i, t) for i, t, _ in phrases[0]} == {(i, t) for i, t, _ in phrases[1]}
