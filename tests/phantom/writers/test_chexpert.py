"""The layout of CheXpert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_chexpert_layout(
    make: Any, read: Callable[[Path], list[Sample]], rows: Callable[[Path], list[list[str]]]
) -> None:
    base = make("chexpert") / "CheXpert-v1.0-small"
    train, valid, test = (rows(base / f"{name}.csv") for name in ("train", "valid", "groundtruth"))
    assert train[0][:6] == ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding"]
    assert train[1][0].startswith("CheXpert-v1.0-small/train/patient")
    assert {cell for row in train[1:] for cell in row[5:]} <= {"1.0", "0.0", "-1.0", ""}
    assert {row[5] for row in train[1:]} <= {"1.0", ""}
    assert {cell for row in valid[1:] for cell in row[5:]} <= {"1.0", "0.0"}
    assert test[0][0] == "Study"
    assert all("/test/patient" in row[0] and "view" not in row[0] for row in test[1:])
    parts = [
        {sample.patient for sample in read(base.parent) if sample.split == part}
        for part in ("train", "valid", "test")
    ]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
