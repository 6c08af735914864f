"""Printed names tell what they stand for, and never two things by one name."""

from __future__ import annotations

from typing import Any

from g2d_bench.metrics.registry import metric_names
from g2d_bench.readers.registry import dataset_names
from g2d_bench.records.selection import select
from g2d_bench.report.model import Column
from g2d_bench.report.titles import (
    DATASETS,
    METRICS,
    convention,
    encoder_titles,
    metric_title,
    task_titles,
)


def column(metric: str) -> Column:
    return Column("siim-seg", 1.0, metric, "clean", (metric,))


def test_what_has_a_title_exists() -> None:
    assert set(METRICS) <= set(metric_names())
    assert {"siim", "rsna", "cxr14"} <= set(DATASETS) & set(dataset_names())


def test_a_metric_bears_its_unit() -> None:
    assert metric_title(column("dice_positive")) == "Dice (%)"
    assert metric_title(column("cnr")) == "|CNR|"
    assert metric_title(column("auroc/Edema")) == "AUROC, Edema (%)"
    assert metric_title(column("my_own_score"), unit=False) == "my own score"
    assert convention(column("my_own_score")) == ""
    assert "dice_positive" in convention(column("dice_positive"))


def test_two_of_one_title_keep_their_names(folder: Any) -> None:
    folder.grid({"g2d": 0.6, "g2d+decoder": 0.6, "mine.a": 0.5, "mine.b": 0.5}, seeds=1)
    found = select(folder.root)
    titles = encoder_titles(found, {"g2d": "G2D", "mine.a": "Mine", "mine.b": "Mine"})
    assert titles["g2d"] == "G2D"
    assert titles["g2d+decoder"] == "G2D + decoder"
    assert titles["mine.a"] == "Mine (mine.a)"
    assert encoder_titles(found)["mine.a"] == "mine.a"
    assert task_titles(found) == {"siim-seg": "SIIM segmentation"}
    folder.add("g2d", task="siim-seg-hard")
    assert task_titles(select(folder.root))["siim-seg-hard"] == "SIIM segmentation (siim-seg-hard)"
