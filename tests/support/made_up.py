"""A task card and samples of a data set that nobody has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from g2d_bench.cards.task import TaskCard
from g2d_bench.readers.base import Sample


def task(**changes: Any) -> TaskCard:
    return TaskCard.model_validate(
        {
            "name": "made-up",
            "version": "1.0",
            "title": "x",
            "kind": "classification",
            "dataset": "covidx",
            "labels": ["A", "B"],
            "metrics": ["auroc"],
            "main": "auroc",
            "split": {"clean": {"official": True, "val_share": 0.2}},
            **changes,
        }
    )


def sample(n: int, labels: dict[str, float], split: str = "train", patient: str = "", **meta: str) -> Sample:
    return Sample(
        id=f"i{n:03}",
        patient=patient or f"p{n:03}",
        path=Path("x"),
        labels=labels,
        split=split,
        meta=meta,
    )
