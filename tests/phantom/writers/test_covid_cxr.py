"""The layout of the COVID-19 Image Data Collection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.registry import dataset_class


def test_covid_cxr_layout(make: Any, rows: Callable[[Path], list[list[str]]]) -> None:
    folder = make("covid-cxr")
    table = rows(folder / "metadata.csv")
    assert table[0][-1] == "Unnamed: 28"
    assert len(table) > make.count("covid-cxr") + 1  # there are rows of CT volumes
    dataset = dataset_class("covid-cxr")(folder)
    samples = dataset.samples()
    masked = [sample for sample in samples if sample.annotation]
    assert 0 < len(masked) < len(samples)
    height, width = dataset.read_image(masked[0]).shape
    mask = dataset.read_mask(masked[0], (height, width), "Lung")
    assert 0.1 < mask.mean() < 0.5
    boxed = [sample for sample in samples if sample.boxes]
    assert boxed
    assert {box.label for box in boxed[0].boxes} == {"Right Lung", "Left Lung"}
    sides = {box.label: box.x for box in boxed[0].boxes}
    assert sides["Right Lung"] < sides["Left Lung"]
    assert all(sample.report for sample in samples)
