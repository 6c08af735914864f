"""The layout of the Montgomery set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample
from g2d_bench.readers.montgomery import Montgomery


def test_montgomery_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("montgomery")
    samples = read(folder)
    assert {sample.labels["Tuberculosis"] for sample in samples} == {0, 1}
    reading = (folder / "ClinicalReadings" / f"{samples[0].id}.txt").read_text().splitlines()
    assert reading[0].startswith("Patient's Sex: ")
    assert reading[1][-4:-1].isdigit()
    masks = [Montgomery(folder).read_mask(samples[0], (64, 64), f"{side} Lung") for side in ("Right", "Left")]
    columns = [mask.nonzero()[1].mean() for mask in masks]
    assert columns[0] < 32 < columns[1]
