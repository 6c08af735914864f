"""Boxes and parts in the rows of somebody's own table."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.folder_table import Meaning
from g2d_bench.readers.rle import decode_absolute, decode_relative
from g2d_bench.readers.tables import HAND_DRAWN, MISSING, Row, make_box


def boxes_of(row: Row, meaning: Meaning, size: tuple[float, float] | None = None) -> list[Box]:
    """Return the boxes of one row, in pixels of the film.

    Either the row has the columns of one box (x, y and width, height or the opposite corner), empty where
    there is none; or a column lists them: ``120 80 40 30; Mass: 300 200 50 60``, left, top, width, height,
    with the label before them where there are several.

    Args:
        row: of the table.
        meaning: of its columns.
        size: (width, height) of the film in pixels; None where it is not known, and nothing held against it.

    Raises:
        InputError: not four numbers, no extent, no label, or off the film by more than
            :data:`~g2d_bench.readers.tables.HAND_DRAWN` of its longer side (at least one pixel).
    """
    roles = meaning.roles
    slack = max(1.0, HAND_DRAWN * max(size)) if size else math.inf
    if "boxes" in roles:
        return _listed(row, roles["boxes"], meaning.region, size, slack)
    if "x" not in roles or all(row[roles[key]] in MISSING for key in ("x", "y")):
        return []
    label = row.text(roles["region"]) if "region" in roles else meaning.region
    x, y = (row.number(roles[key]) for key in ("x", "y"))
    if "w" in roles:
        columns = (roles["x"], roles["y"], roles["w"], roles["h"])
        w, h = (row.number(roles[key]) for key in ("w", "h"))
    else:
        columns = (roles["x"], roles["y"], roles["x2"], roles["y2"])
        w, h = row.number(roles["x2"]) - x, row.number(roles["y2"]) - y
    return [make_box(row, label, (x, y, w, h), size, columns, slack)]


def _listed(row: Row, column: str, region: str, size: tuple[float, float] | None, slack: float) -> list[Box]:
    boxes = []
    for part in row[column].split(";"):
        if part.strip() in MISSING:
            continue
        label, colon, numbers = part.rpartition(":")
        words = re.split(r"[\s,]+", numbers.strip(" []()"))
        try:
            x, y, w, h = (float(word) for word in words)
        except ValueError:
            raise row.error(
                f"{part.strip()!r} is no box; want 'left top width height', with 'label:' before it or not",
                column,
            ) from None
        name = label.strip() if colon else region
        if not name:
            raise row.error(f"{part.strip()!r} has no label", column)
        boxes.append(make_box(row, name, (x, y, w, h), size, (column,) * 4, slack))
    return boxes


def boxes_in_pixels(samples: Sequence[Sample], table: Path, column: str) -> None:
    """Refuse boxes that are shares of the film, as YOLO and others write them.

    Args:
        samples: all films of the table.
        table: the table.
        column: the one of the boxes, or of their left edges.

    Raises:
        InputError: no number of any box is above 1.
    """
    drawn = [sample for sample in samples if sample.boxes]
    if drawn and all(max(box.x, box.y, box.w, box.h) <= 1 for sample in drawn for box in sample.boxes):
        raise InputError(
            "no number of any box is above 1, so they are shares of the film: want pixels of the film, left, "
            "top, width and height or the opposite corner",
            file=f"{table}:{drawn[0].meta['row']}",
            field=column,
        )


def decode_runs(text: str, shape: tuple[int, int], how: str, where: str, column: str) -> NDArray[np.bool_]:
    """Decode run lengths of somebody's own table.

    Args:
        text: the run lengths.
        shape: (H, W) of the film.
        how: how they count, ``absolute`` or ``relative``; see :mod:`g2d_bench.readers.rle`.
        where: file and row, for the error.
        column: the column, for the error.

    Returns:
        The mask, shape [H, W].

    Raises:
        InputError: they are none, or do not fit the film; the text says if they would, counted otherwise.
    """
    ways = {"absolute": decode_absolute, "relative": decode_relative}
    try:
        return ways[how](text, shape, where, column)
    except InputError as error:
        (other,) = ways.keys() - {how}
        try:
            ways[other](text, shape, where, column)
        except InputError:
            raise error from None
        raise InputError(f"{error}; with --rle {other} they fit the film: import them so") from None


def patient_parts(samples: Sequence[Sample], table: Path) -> None:
    """Refuse a split that divides a patient.

    Raises:
        InputError: films of one patient stand in two parts, or some films in none.
    """
    first: dict[str, Sample] = {}
    for sample in samples:
        other = first.setdefault(sample.patient, sample)
        if other.split != sample.split:
            raise InputError(
                f"patient {sample.patient!r} is in {sample.split}, and on row {other.meta['row']} in "
                f"{other.split}: the films of a patient stay together",
                file=f"{table}:{sample.meta['row']}",
                field="split",
            )
