"""Which arrays each kind of task keeps, and what may stand in them.

Metrics are computed from these arrays: a number out of range there would be an index that does not exist, or
a table as large as the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.grounding import THRESHOLDS

Arrays = Mapping[str, NDArray[Any]]

MOST_SAMPLES = 100_000
"""Test samples of one cell, four times as many as the largest test set has; draws of a bootstrap take 8 kB
for each."""
MOST_LABELS = 256
MOST_BOXES = 1 << 20
MOST_TRUE_BOXES = 1 << 17
MOST_VALUES = 1 << 22
"""Entries of an array of samples by labels, which metrics hold several times in double precision."""
PIXELS = 1 << 28
"""Pixels of an image, in counts of them."""


@dataclass(frozen=True)
class Rule:
    """What an array may hold.

    Attributes:
        kinds: of numpy's types, a letter each.
        axes: name of each axis; axes of one name are equally long in all arrays. A number is a length.
        low: smallest value.
        high: largest value, or the axis that the values number.
        nan: whether a value may be undefined.
    """

    kinds: str
    axes: tuple[str | int, ...]
    low: float = 0.0
    high: float | str = PIXELS
    nan: bool = False


def _count(*axes: str | int) -> Rule:
    # What hangs on a threshold that could not be chosen is undefined.
    return Rule("biuf", axes, nan=True)


_PARTS = ("common", "predicted")
_REAL = Rule("f", ("N",), -1e30, 1e30, nan=True)
_SCORES = {
    "scores": Rule("f", ("N", "C"), -1e30, 1e30),
    "targets": Rule("biuf", ("N", "C"), 0, 1, nan=True),
    "label": Rule("U", ("C",)),
    "thresholds": Rule("f", ("C",), -1e30, 1e30, nan=True),
}
_MAPS = {
    "true": Rule("iu", ("N",)),
    **{f"{cut}_{part}": _count("N", len(THRESHOLDS)) for cut in ("cosine", "minmax") for part in _PARTS},
    **{f"{cut}_{part}": _count("N") for cut in ("chosen", "medklip") for part in _PARTS},
    **{f"{side}_{what}": _REAL for side in ("inside", "outside") for what in ("mean", "variance")},
    "hit": Rule("biuf", ("N",), 0, 1, nan=True),
}
_BOX = Rule("biuf", ("P", 4), -1e9, 1e9)
KINDS: dict[str, dict[str, Rule]] = {
    "segmentation": {
        **{name: Rule("iu", ("N",)) for name in ("intersection", "predicted", "true")},
        "batch": Rule("iu", ("N",), 0, "N"),
    },
    "classification": _SCORES,
    "zero-shot": _SCORES,
    "detection": {
        "box_image": Rule("iu", ("P",), 0, "N"),
        "box_label": Rule("iu", ("P",), 0, MOST_LABELS - 1),
        "box_score": Rule("biuf", ("P",), -1e30, 1e30),
        "box": _BOX,
        "true_image": Rule("iu", ("G",), 0, "N"),
        "true_label": Rule("iu", ("G",), 0, MOST_LABELS - 1),
        "true_box": Rule("biuf", ("G", 4), -1e9, 1e9),
    },
    "grounding": {**_MAPS, "category": Rule("U", ("N",))},
    "phrase": {**_MAPS, "category": Rule("U", ("N",)), "text": Rule("U", ("N",))},
}
"""Kind of task to its arrays but ``id`` and ``patient``; those that no metric of a record reads may lack."""
_LIMITS = {"N": MOST_SAMPLES, "C": MOST_LABELS, "P": MOST_BOXES, "G": MOST_TRUE_BOXES}


def require_shapes(kind: str, arrays: Arrays, path: Path) -> None:
    """Look at every array of a record's predictions.

    Args:
        kind: of the task; of an unknown one only ids and patients are known.
        arrays: the predictions.
        path: their file, for complaints.

    Raises:
        InputError: an array is of another type or length than its kind keeps, or a value is out of range.
    """
    names = Rule("U", ("N",))
    rules = {"id": names, "patient": names, **KINDS.get(kind, {})}
    if "id" not in arrays:
        raise InputError("the array 'id' is missing", file=path, field="predictions")
    lengths: dict[str, int] = {}
    for name, rule in rules.items():
        if name in arrays:
            _require_axes(name, arrays[name], rule, lengths, path)
    if not lengths["N"]:
        raise InputError("holds no sample", file=path, field="id")
    for name, rule in rules.items():
        if name in arrays:
            _require_values(name, arrays[name], rule, lengths, path)


def _require_axes(name: str, array: NDArray[Any], rule: Rule, lengths: dict[str, int], path: Path) -> None:
    if array.dtype.kind not in rule.kinds or array.ndim != len(rule.axes):
        wanted = f"{' or '.join(_WORDS[kind] for kind in rule.kinds)} [{', '.join(map(str, rule.axes))}]"
        raise InputError(f"is {array.dtype} {list(array.shape)}, not {wanted}", file=path, field=name)
    for axis, length in zip(rule.axes, array.shape, strict=True):
        wanted_length = axis if isinstance(axis, int) else lengths.setdefault(axis, length)
        if length != wanted_length:
            message = f"is {list(array.shape)}: {wanted_length} were expected for {axis}"
            raise InputError(message, file=path, field=name)
        if isinstance(axis, str) and length > _LIMITS[axis]:
            raise InputError(f"has {length} entries, more than {_LIMITS[axis]}", file=path, field=name)
    if "C" in rule.axes and array.size > MOST_VALUES:
        raise InputError(f"has {array.size} entries, more than {MOST_VALUES}", file=path, field=name)


def _require_values(name: str, array: NDArray[Any], rule: Rule, lengths: dict[str, int], path: Path) -> None:
    if array.dtype.kind == "U" or not array.size:
        return
    high = lengths[rule.high] - 1 if isinstance(rule.high, str) else rule.high
    unknown = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, np.bool_)
    if unknown.any() and not rule.nan:
        raise InputError("a value is not a number", file=path, field=name)
    with np.errstate(over="ignore"):  # A limit may be more than a small type holds.
        outside = ~unknown & ~((array >= rule.low) & (array <= high) & np.isfinite(array))
    if outside.any():
        value = array[outside].flat[0]
        raise InputError(f"{value} lies outside {rule.low:g} to {high:g}", file=path, field=name)


_WORDS = {"b": "boolean", "i": "integer", "u": "unsigned", "f": "float", "U": "text"}
