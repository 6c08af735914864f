"""The layout of the Shenzhen set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_shenzhen_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    samples = read(make("shenzhen"))
    masked = [sample for sample in samples if sample.annotation]
    assert 0.6 < len(masked) / len(samples) < 1
    assert all(("Lung" in sample.labels) == bool(sample.annotation) for sample in samples)
    assert {sample.meta["sex"] for sample in samples} == {"M", "F"}
    assert all(sample.meta["age"].isdigit() for sample in samples)
