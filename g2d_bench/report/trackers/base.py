"""What a tracker is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.records.record import Record, to_json
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import seen_by
from g2d_bench.report.marks import behind, defects_of, leaks_of, short
from g2d_bench.report.origin import origin

if TYPE_CHECKING:
    import pandas as pd


LONGEST = 500
"""Characters of a parameter that every tracker takes; the record, which is told too, has all."""


@dataclass(frozen=True)
class Setup:
    """What a tracker needs to begin.

    Attributes:
        project: name of the project or experiment.
        folder: of the results, for trackers that write files.
    """

    project: str
    folder: Path


@dataclass(frozen=True)
class Told:
    """A finished cell, as trackers show it.

    Attributes:
        name: of its run.
        parameters: the cell, and what its number depends on.
        metrics: its numbers, those that are defined; seconds and megabytes, too.
        tags: words by which runs are found.
        record: the whole record as JSON.
    """

    name: str
    parameters: Mapping[str, str | int | float]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    record: str


@dataclass(frozen=True)
class Pages:
    """What is shown of a run as a whole.

    Attributes:
        tables: in Markdown.
        rows: a row per cell and metric.
        picture: score against share of the labels, [H, W, 3] in bytes; None where nothing was drawn.
    """

    tables: str
    rows: pd.DataFrame
    picture: NDArray[np.uint8] | None


class Tracker(Protocol):
    """Shows a run somewhere."""

    def cell(self, told: Told) -> None:
        """Show a finished cell."""
        ...

    def end(self, pages: Pages) -> None:
        """Show the run as a whole, and let go of everything."""
        ...


def told_of(record: Record) -> Told:
    """Return what trackers are told of a record."""
    cell = record.cell
    data = "generated" if record.data.kind == "phantom" else "real"
    mark = "GENERATED " if data == "generated" else ""
    found = Found(record)
    name = f"{mark}{cell.task} {cell.encoder} {cell.amount} seed {cell.seed} {cell.protocol}"
    return Told(
        name=behind(name, short([found])),
        parameters={
            **cell.as_dict(),
            "kind": record.kind,
            "dataset": record.data.dataset,
            "data": data,
            "images_train": record.data.images["train"],
            "images_test": record.data.images["test"],
            "scale": origin(found).scale,
            "pretraining_saw": seen_by(found),
            "leaks": "; ".join(leaks_of([found]))[:LONGEST],
            "split_defects": "; ".join(defects_of([found]))[:LONGEST],
            "weights": record.encoder.weights[:64],
            "signature": record.signature,
            "key": record.key,
            "commit": record.commit,
        },
        metrics={
            **{name: value for name, value in record.metrics.items() if value is not None},
            "seconds": sum(record.seconds.values()),
            "peak_memory_mb": float(record.peak_memory_mb),
        },
        tags={
            "task": cell.task,
            "encoder": cell.encoder,
            "data": data,
            "protocol": cell.protocol,
            "marks": ", ".join(short([found])),
        },
        record=to_json(record).decode(),
    )


def library(name: str) -> Any:
    """Import a tracker's library.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        reason = f"{name} is not installed: pip install 'g2d-bench[{name}]'"
        raise InputError(reason, field="--tracker") from None
