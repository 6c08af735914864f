"""Events on disk, as TensorBoard reads them."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Pages, Setup, Told


def test_tensorboard_reads_numbers_texts_and_picture(setup: Setup, told: Told, pages: Pages) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = TRACKERS["tensorboard"](setup)
    tracker.cell(told)
    tracker.end(pages)
    root = setup.folder / "tensorboard" / "chest"
    names = sorted(path.name for path in root.iterdir())
    assert names[0].startswith("GENERATED-siim-seg-g2d-1-seed-0-clean-")
    assert names[1:] == ["tables"]

    def read(name: str) -> Any:
        events = reading.EventAccumulator(str(root / name))
        events.Reload()
        return events

    cell, whole = read(names[0]), read("tables")
    assert set(cell.Tags()["scalars"]) == set(told.metrics)
    (value,) = cell.Scalars("dice_positive")
    assert value.value == pytest.approx(told.metrics["dice_positive"])
    assert {"cell/text_summary", "record/text_summary"} <= set(cell.Tags()["tensors"])
    assert whole.Tags()["images"] == ["curves"]
    assert "tables/text_summary" in whole.Tags()["tensors"]
