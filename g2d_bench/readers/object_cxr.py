"""Object-CXR: foreign objects on chest radiographs, drawn as rectangles, ellipses and polygons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import attach_images, find_files
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.images import read_size
from g2d_bench.readers.tables import HAND_DRAWN, MISSING, Row, make_box, read_table, require

LABEL = "Foreign object"
# The third part was never published with labels, so dev is what everybody tests on.
SPLITS = {"train": "train", "dev": "test"}
"""Release part to split name."""

SHAPES = {"0": "rectangle", "1": "ellipse", "2": "polygon"}
SUFFIXES = (".jpg", ".jpeg", ".png")
COLUMN = "annotation"


def parse_object(row: Row, text: str) -> tuple[float, float, float, float]:
    """Parse one object: a type and corner coordinates.

    Rectangles and ellipses have two opposite corners in any order, polygons at least three points.

    Args:
        row: where it stands.
        text: such as ``0 x1 y1 x2 y2`` or ``2 x1 y1 x2 y2 x3 y3``.

    Returns:
        Left, top, width, height of the tight box, in raw pixels.

    Raises:
        InputError: unknown type, a wrong number of coordinates, or one that is no number.
    """
    kind, *words = text.split()
    if kind not in SHAPES:
        row.choice(COLUMN, tuple(SHAPES), kind)
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise row.error(f"not a number in {text!r}", COLUMN) from None
    few = len(numbers) < 6 if kind == "2" else len(numbers) != 4
    if few or len(numbers) % 2:
        raise row.error(f"{SHAPES[kind]} with {len(numbers)} coordinates: {text!r}", COLUMN)
    if not all(abs(number) < 1e6 for number in numbers):
        raise row.error(f"coordinate out of range in {text!r}", COLUMN)
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def parse_annotation(
    row: Row, size: tuple[int, int] | None = None
) -> tuple[tuple[str, ...], tuple[Box, ...]]:
    """Parse the annotation cell: objects separated by ``;``, empty for an image without objects.

    Args:
        row: of ``train.csv`` or ``dev.csv``.
        size: (width, height) of the image, None to leave the right and lower edges unchecked.

    Returns:
        The objects as written, and their boxes.

    Raises:
        InputError: malformed object, or one outside the image.
    """
    if row[COLUMN] in MISSING:
        return (), ()
    objects = tuple(part.strip() for part in row[COLUMN].rstrip("; ").split(";"))
    if not all(objects):
        raise row.error("an empty object between two semicolons", COLUMN)
    slack = HAND_DRAWN * max(size) if size else float("inf")
    columns = (COLUMN, COLUMN, COLUMN, COLUMN)
    try:
        boxes = [make_box(row, LABEL, parse_object(row, o), size, columns, slack) for o in objects]
    except InputError as error:
        if size is None or "outside the image" not in str(error):
            raise
        raise InputError(
            f"{error}: objects are in pixels of the released films, whose size stands nowhere; if this is a "
            "resized copy, the full-size films are needed"
        ) from None
    return objects, tuple(boxes)


def _image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of an image as it is shown, upright."""
    height, width = read_size(path)
    return width, height


class ObjectCxr(Dataset):
    """8,000 + 1,000 radiographs with and without foreign objects; each image counts as a patient."""

    name: ClassVar[str] = "object-cxr"
    title: ClassVar[str] = "Object-CXR (train and dev)"
    licence: ClassVar[str] = "CC BY-NC 4.0"
    films_open: ClassVar[str] = "Object-CXR, JF Healthcare, CC BY-NC 4.0"
    citation: ClassVar[str] = (
        "JF Healthcare, Object-CXR: automatic detection of foreign objects on chest X-rays, 2020"
    )
    access: ClassVar[str] = (
        "The links of https://github.com/jfhealthcare/object-CXR are dead; copies circulate in archives"
    )
    folders: ClassVar[tuple[str, ...]] = ("object-cxr", "object-CXR", "Object-CXR")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (("train.csv",), ("dev.csv",))
    patient_field: ClassVar[str] = "image_name"
    labels: ClassVar[tuple[str, ...]] = (LABEL,)

    def _parts(self) -> dict[str, tuple[Path, dict[str, Row]]]:
        parts: dict[str, tuple[Path, dict[str, Row]]] = {}
        seen: dict[str, Row] = {}
        for part in SPLITS:
            path = require(self.root, (f"{part}.csv",), self.access)
            rows = read_table(path, ("image_name", COLUMN)).by_id("image_name")
            for name, row in rows.items():
                if not name.lower().endswith(SUFFIXES):
                    raise row.error(f"{name!r} is not an image name ({', '.join(SUFFIXES)})", "image_name")
                if name in seen:
                    raise row.error(f"duplicate id {name!r}, also in train.csv", "image_name")
            seen |= rows
            parts[part] = (path, rows)
        return parts

    def _sample(self, part: str, name: str, row: Row, size: tuple[int, int] | None) -> Sample:
        objects, boxes = parse_annotation(row, size)
        return Sample(
            id=name,
            patient=name,
            path=Path(part, name),
            labels={LABEL: float(bool(boxes))},
            split=SPLITS[part],
            annotation=objects,
            boxes=boxes,
            meta={"row": str(row.line)},
        )

    def table_samples(self) -> list[Sample]:
        """Make samples of the tables alone, in table order: paths unproven, boxes not held against images.

        Raises:
            InputError: a table is missing or malformed.
        """
        return [
            self._sample(part, name, row, None)
            for part, (_, rows) in self._parts().items()
            for name, row in rows.items()
        ]

    def samples(self) -> list[Sample]:
        """Parse tables, find images, and hold the boxes against image sizes; see :meth:`Dataset.samples`."""
        done: list[Sample] = []
        for part, (path, rows) in self._parts().items():
            plain = [self._sample(part, name, row, None) for name, row in rows.items()]
            files = find_files(self.root, SUFFIXES, (part,))
            for sample in attach_images(plain, self.root, files, path, "image_name"):
                # Only images with objects are opened: the header costs a file access each.
                size = _image_size(sample.path) if sample.boxes else None
                checked = self._sample(part, sample.id, rows[sample.id], size)
                done.append(replace(sample, boxes=checked.boxes))
        return sorted(done, key=lambda sample: sample.id)


READER = ObjectCxr
