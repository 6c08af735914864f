"""The layout of the thousand films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.paths import shipped
from g2d_bench.readers.base import Sample
from g2d_bench.readers.nih1k import ROWS


def test_nih1k_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("nih1k")
    header = (shipped("tasks") / ROWS).read_text().splitlines()[0]
    assert (folder / "Data_Entry_2017_v2020.csv").read_text().splitlines()[0] == header
    samples = read(folder)
    for sample in samples:
        ill = sample.labels["Pneumonia"] == 1
        assert sample.path.parent.name == ("Pneumonia" if ill else "No_findings")
        assert any(sample.labels.values()) == ill
    assert {sample.meta["view"] for sample in samples} == {"PA", "AP"}
    assert 0.2 < sum(sample.labels["Pneumonia"] for sample in samples) / len(samples) < 0.8
