"""Every test here has a cache folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import DataPart, EncoderPart, Record


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def plain() -> Record:
    """A record of two test images, without predictions."""
    fields: dict[str, Any] = {
        "key": key_of({"a": 1}),
        "signature": "siim-seg@1.0#aaaa|phantom:siim#bbbb",
        "kind": "segmentation",
        "cell": Cell(task="siim-seg", fraction=0.01, protocol="clean", seed=2, encoder="g2d+decoder"),
        "data": DataPart(
            dataset="siim",
            kind="phantom",
            hash="00",
            split_hash="11",
            images={"train": 1, "val": 1, "test": 2},
            positive={"train": 1, "val": 1, "test": 1},
        ),
        "encoder": EncoderPart(card_hash="22", weights="33"),
        "metrics": {"dice_positive": 0.25, "specificity_empty": None},
        "references": {"all-empty": {"dice_positive": 0.0}},
        "versions": {"torch": "2"},
        "commit": "",
        "hardware": {"cores": 2},
        "seconds": {"train": 1.0},
        "peak_memory_mb": 10,
        "command": "g2d-bench run",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Record(**fields)
