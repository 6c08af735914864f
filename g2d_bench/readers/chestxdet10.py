"""ChestX-Det10: boxes of ten findings, drawn by radiologists on films of ChestX-ray14."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.readers.attach import attach_images, by_name, find_files
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.tables import read_text, require

LABELS = (
    "Atelectasis",
    "Calcification",
    "Consolidation",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
SIDE = 1024
"""Width and height of the films on which the boxes are drawn."""
PARTS = ("train", "test")
KEYS = ("file_name", "syms", "boxes")


class ChestXDet10(Dataset):
    """3,543 films of ChestX-ray14 (3,001 to train, 542 to test) under new names, with 8,339 boxes.

    A box is given by its corners (left, top, right, bottom). Neither patients nor NIH's names are published:
    every film counts as one patient, so intervals may be too narrow.
    """

    name: ClassVar[str] = "chestxdet10"
    title: ClassVar[str] = "ChestX-Det10"
    licence: ClassVar[str] = "none stated for the boxes; films: NIH, free use with citation and a link"
    citation: ClassVar[str] = (
        "Liu, Lian and Yu, ChestX-Det10: Chest X-ray Dataset on Detection of Thoracic Abnormalities, "
        "arXiv 2006.10550; Wang et al., ChestX-ray8, CVPR 2017"
    )
    access: ClassVar[str] = (
        "Clone https://github.com/Deepwise-AILab/ChestX-Det10-Dataset and unpack the two archives of films "
        "that its README links (train_data.zip, test_data.zip) in it."
    )
    takes_films_of: ClassVar[tuple[str, ...]] = ("cxr14",)
    folders: ClassVar[tuple[str, ...]] = ("chestxdet10", "chestx-det10", "ChestX-Det10-Dataset")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (("train.json",), ("test.json",))
    patient_field: ClassVar[str] = "file_name"
    side: ClassVar[int | None] = SIDE
    labels: ClassVar[tuple[str, ...]] = LABELS

    def table_samples(self) -> list[Sample]:
        """Make samples of the two lists alone, paths unproven.

        Raises:
            InputError: a list is missing or malformed; the text names file, entry and field.
        """
        samples: dict[str, Sample] = {}
        twice = 0
        for part in PARTS:
            path = require(self.root, (f"{part}.json",), self.access)
            for number, entry in enumerate(_entries(path)):
                sample, repeated = self._sample(entry, part, f"{path}:[{number}]")
                if sample.id in samples:
                    message = f"duplicate id {sample.id!r}, already in {samples[sample.id].split}"
                    raise InputError(message, file=f"{path}:[{number}]", field="file_name")
                samples[sample.id] = sample
                twice += repeated
        self.remark(twice, "boxes stand twice on their film and are taken once")
        return list(samples.values())

    def samples(self) -> list[Sample]:
        """Parse the lists and find the films; see :meth:`Dataset.samples`."""
        lists = self.root / "{train,test}.json"
        files = find_files(self.root, (".png",)) or find_files(self.root, (".jpg", ".jpeg"))
        return attach_images(self.table_samples(), self.root, files, lists, "file_name", by_name)

    def _sample(self, entry: Any, part: str, where: str) -> tuple[Sample, int]:
        """Return one entry as a sample, and how many of its boxes repeat another one."""
        if not isinstance(entry, dict):
            raise InputError(f"{str(entry)[:40]!r} is no entry with {', '.join(KEYS)}", file=where)
        for key, kind in zip(KEYS, (str, list, list), strict=True):
            if not isinstance(entry.get(key), kind):
                raise InputError("is missing or of another type", file=where, field=key)
        name, words, corners = (entry[key] for key in KEYS)
        if not name or "/" in name or "\\" in name:
            raise InputError(f"{name!r} is no file name", file=where, field="file_name")
        if len(words) != len(corners):
            message = f"{len(corners)} boxes for {len(words)} findings"
            raise InputError(message, file=where, field="boxes")
        boxes = [_box(word, four, where, self.drawn_on) for word, four in zip(words, corners, strict=True)]
        kept = tuple(dict.fromkeys(boxes))
        sample = Sample(
            id=name,
            patient=name,
            path=Path(name),
            labels={label: float(label in words) for label in LABELS},
            split=part,
            boxes=kept,
            frame=self.drawn_on if kept else None,
        )
        return sample, len(boxes) - len(kept)


def _entries(path: Path) -> list[Any]:
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"not a JSON list of films: {error}", file=path) from error
    if not isinstance(content, list) or not content:
        raise InputError("not a JSON list of films", file=path)
    return content


def _box(word: Any, corners: Any, where: str, frame: tuple[float, float] | None) -> Box:
    if word not in LABELS:
        message = f"unknown value {word!r}, {did_you_mean(str(word), list(LABELS))}"
        raise InputError(message, file=where, field="syms")
    numbers = isinstance(corners, list) and len(corners) == 4
    if not numbers or not all(type(n) in (int, float) and math.isfinite(n) for n in corners):
        raise InputError(f"{corners!r} are not four corners", file=where, field="boxes")
    x1, y1, x2, y2 = (float(n) for n in corners)
    if x2 <= x1 or y2 <= y1:
        raise InputError(
            f"{corners!r}: the second corner is not right below the first", file=where, field="boxes"
        )
    width, height = frame or (math.inf, math.inf)
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        message = f"box {corners!r} lies outside the image ({width:g}x{height:g})"
        raise InputError(message, file=where, field="boxes")
    return Box(word, x1, y1, x2 - x1, y2 - y1)


READER = ChestXDet10
