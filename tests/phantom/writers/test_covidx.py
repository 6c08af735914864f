"""The layout of COVIDx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_covidx_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("covidx")
    lines = [
        line.split(" ")
        for part in ("train", "test")
        for line in (folder / f"{part}_COVIDx9A.txt").read_text().splitlines()
    ]
    assert all(len(line) == 4 for line in lines)
    assert {line[2] for line in lines} == {"normal", "pneumonia", "COVID-19"}
    samples = read(folder)
    patients = [
        {sample.patient for sample in samples if sample.split == split} for split in ("train", "test")
    ]
    assert all(patients)
    assert not patients[0] & patients[1]
