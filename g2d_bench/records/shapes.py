"""Whether the arrays of a record are what its kind of task keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.arrays import (
    MOST_BOXES,
    MOST_LABELS,
    MOST_QUERIES,
    MOST_SAMPLES,
    MOST_TRUE_BOXES,
    MOST_VALUES,
    Rule,
)
from g2d_bench.cards.kind import known_kind
from g2d_bench.errors import InputError
from g2d_bench.records.groups import NAMES
from g2d_bench.records.shown import LIMITS, RULES

Arrays = Mapping[str, NDArray[Any]]

_LIMITS = {
    **{"N": MOST_SAMPLES, "C": MOST_LABELS, "P": MOST_BOXES, "G": MOST_TRUE_BOXES},
    **{"T": MOST_QUERIES, "I": MOST_QUERIES},
    **LIMITS,
}


def require_shapes(kind: str, arrays: Arrays, path: Path) -> None:
    """Look at every array of a record's predictions.

    Args:
        kind: of the task; of an unknown one only ids and patients are known.
        arrays: the predictions.
        path: their file, for complaints.

    Raises:
        InputError: an array is of another type or length than its kind keeps, or a value is out of range.
    """
    names, known = Rule("U", ("N",)), known_kind(kind)
    groups = dict.fromkeys(NAMES, names)
    rules = {"id": names, "patient": names, **groups, **RULES, **(known.arrays if known is not None else {})}
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
    if {"C", "T", "I"} & set(rule.axes) and array.size > MOST_VALUES:
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
