"""The few predicted masks and maps that a compact record keeps, so that its page has something to show.

They are those of the cases that pages show: best, median and worst test case by the main metric (segmentation
by Dice), see :mod:`.cases`. No metric reads them. A mask is kept as bits, a map as 256 steps between its
lowest and its highest value, both small enough for git.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.arrays import Rule
from g2d_bench.records.cases import extremes, scored

Arrays = Mapping[str, NDArray[Any]]

PLACES, MASKS, MAPS = SHOWN = ("shown_place", "shown_mask", "shown_heat")
MOST = 3
SIDE = 128
"""Of a mask."""
CELLS = 32
"""Most cells of a map along a side; larger maps are averaged."""
RULES = {
    PLACES: Rule("iu", ("K",), 0, "N"),
    MASKS: Rule("u", ("K", SIDE * SIDE // 8), 0, 255),
    MAPS: Rule("u", ("K", "rows", "columns"), 0, 255),
}
"""What may stand in them; K are the cases."""
LIMITS = {"K": MOST, "rows": CELLS, "columns": CELLS}


def shown(kind: str, metric: str, predictions: Arrays) -> dict[str, NDArray[Any]]:
    """Choose what to keep.

    Args:
        kind: of the task.
        metric: its main metric.
        predictions: all arrays of the record.

    Returns:
        ``shown`` [K], places among the test cases, with ``shown_mask`` [K, bytes] or ``shown_heat``
        [K, rows, columns]; what a compact record has already; nothing for other kinds.
    """
    if not {"mask", "heat"} & set(predictions):
        return {name: predictions[name] for name in SHOWN if name in predictions}
    cases = scored(kind, metric, predictions)
    places = sorted(extremes(cases.values).values()) if cases is not None else []
    if not places:
        return {}
    rows = np.array(places, np.int64)
    try:
        if "heat" in predictions:
            return {PLACES: rows, MAPS: np.stack([_steps(predictions["heat"][place]) for place in places])}
        bits = np.stack([_small(unpacked(predictions["mask"][place])) for place in places])
    except (IndexError, ValueError):  # Somebody's own kind may keep masks of another form.
        return {}
    return {PLACES: rows, MASKS: np.packbits(bits.reshape(len(bits), -1), axis=1)}


def mask_of(predictions: Arrays, place: int) -> NDArray[np.bool_] | None:
    """Return the predicted mask of a test case, a square; None where the record does not keep it.

    Raises:
        ValueError: it is no square.
    """
    if "mask" in predictions:
        return unpacked(predictions["mask"][place])
    row = _row(predictions, place, MASKS)
    return None if row is None else unpacked(row)


def map_of(predictions: Arrays, place: int) -> NDArray[Any] | None:
    """Return the map of a test case [h, w], in whatever unit; None where the record does not keep it."""
    return np.asarray(predictions["heat"][place]) if "heat" in predictions else _row(predictions, place, MAPS)


def unpacked(packed: NDArray[Any]) -> NDArray[np.bool_]:
    """Unpack the bits of a mask.

    Raises:
        ValueError: it is no square.
    """
    flat = np.unpackbits(np.asarray(packed, np.uint8).ravel())
    side = math.isqrt(len(flat))
    if side * side != len(flat) or not 8 <= side <= 2048:
        raise ValueError("no square mask")
    return flat.reshape(side, side).astype(np.bool_)


def _row(predictions: Arrays, place: int, name: str) -> NDArray[Any] | None:
    if name not in predictions or PLACES not in predictions:
        return None
    found = np.flatnonzero(np.asarray(predictions[PLACES]) == place)
    return np.asarray(predictions[name][found[0]]) if len(found) else None


def _small(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bring a mask to the side that is kept: a pixel is set where half of it was."""
    import cv2

    if mask.shape == (SIDE, SIDE):
        return mask
    small = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small >= 0.5, np.bool_)


def _steps(heat: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring a map to at most 32 cells a side and 256 steps."""
    import cv2

    values = np.nan_to_num(np.asarray(heat, np.float32))
    rows, columns = (min(length, CELLS) for length in values.shape)
    if values.shape != (rows, columns):
        values = np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA))
    low, high = float(values.min()), float(values.max())
    return np.round((values - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)
