"""A data set: grey images with a table that says whether they show a bright blob."""

from __future__ import annotations

import csv
from typing import ClassVar

from g2d_bench.readers.base import Dataset, Sample


class Blobs(Dataset):
    """Images named in ``blobs.csv``, with patient and label."""

    name: ClassVar[str] = "blobs"
    title: ClassVar[str] = "Blobs"
    licence: ClassVar[str] = "CC0"
    citation: ClassVar[str] = "none"
    access: ClassVar[str] = "Draw them."
    folders: ClassVar[tuple[str, ...]] = ("blobs",)
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (("blobs.csv",),)
    labels: ClassVar[tuple[str, ...]] = ("Blob",)

    def samples(self) -> list[Sample]:
        """Read the table."""
        with (self.root / "blobs.csv").open(newline="") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda row: row["image"])
        return [
            Sample(
                id=row["image"],
                patient=row["patient"],
                path=self.root / row["image"],
                labels={"Blob": float(row["blob"])},
            )
            for row in rows
        ]


READER = Blobs
