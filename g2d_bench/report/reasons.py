"""Why a cell of a table has no number, and what must be said of one that has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from g2d_bench.cards.kind import untrained
from g2d_bench.errors import InputError
from g2d_bench.metrics.grounding import BELOW_ALL, below_all
from g2d_bench.records.cell import labels_of
from g2d_bench.records.draws import FEWEST
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import NOT_APPLICABLE, WHY_UNDEFINED, Record
from g2d_bench.records.selection import Found
from g2d_bench.report.model import Column, Row, Value

EMPTY = "predicts_nothing"
"""Note of a record that says that its decoder stayed at the empty prediction."""
COSINES = "miou_cosine"
"""How the metrics begin that count overlaps above fixed cosines."""
UNTRAINED = "without training"
"""What is said of a task that asks an encoder as it is."""
UNDEFINED = "not defined on these test images"
ALIKE = 3
"""Metrics that must equal a trivial predictor's before a record is taken for it."""
FEW = 6
"""Names that are listed before the rest is counted."""


def reason(value: Value, row: Mapping[int, Found], seeds: Sequence[int], evidence: Evidence) -> str:
    """Say in a clause why a value has no number, "" where it has one.

    Args:
        value: of an encoder in a column.
        row: the encoder's records by seed.
        seeds: those that the column has.
        evidence: reads predictions.
    """
    if value.missing == "seed missing":
        return _lacks(row, seeds)
    if value.missing == "not measured":
        whys = {evidence.error(one, value.column.metric) for one in row.values()} - {""}
        return "; ".join([f"no record states {value.column.metric}", *sorted(whys)])
    if value.missing != "undefined":
        return ""
    if known := told(row.values()):
        return "; ".join(known)
    metric = value.column.metric
    without = [seed for seed, one in sorted(row.items()) if one.record.metrics.get(metric) is None]
    some = f" in seed {', '.join(map(str, without))}" if 0 < len(without) < len(row) else ""
    noted = [row[seed].record.notes.get(WHY_UNDEFINED, {}) for seed in without]
    whys = {str(note.get(metric, "")) for note in noted if isinstance(note, dict)} - {""}
    why = "; ".join(sorted(whys)) or (_why_undefined(row[without[0]], evidence) if without else "")
    return UNDEFINED + some + (f" ({why})" if why else "")


def told(row: Iterable[Found]) -> list[str]:
    """Return why records say that an encoder has no numbers."""
    notes = (one.record.notes for one in row)
    return sorted({str(note[NOT_APPLICABLE]) for note in notes if NOT_APPLICABLE in note})


def remarks(name: str, column: Column, row: Mapping[int, Found], evidence: Evidence) -> list[str]:
    """Say of which seeds the numbers are no more than a trivial predictor's, or are 0 for want of a map."""
    same: dict[str, list[int]] = defaultdict(list)
    for seed, one in sorted(row.items()):
        if empty := one.record.notes.get(EMPTY):
            same[str(empty)].append(seed)
        elif trivial := _trivial(one.record):
            same[f"every number is that of {trivial}, which has not looked at an image"].append(seed)
        if column.metric.startswith(COSINES) and one.record.metrics.get(column.metric) == 0:
            why = one.record.notes.get(BELOW_ALL) or _below_all(one, evidence)
            if why:
                same[f"{column.metric} 0.0: {why}"].append(seed)
    return [
        f"{name} in {column.task} at {column.amount}, seed {', '.join(map(str, seeds))}: {what}"
        for what, seeds in same.items()
    ]


INFLATED = "calibration errors have no interval and no test: each resample makes them larger"


def what_was_trained(found: Found) -> str:
    """Say with what: ``1 % of the training labels``, ``16 shots per class``, ``without training``."""
    return UNTRAINED if untrained(found.record.kind) else labels_of(found.cell)


def share_of(kind: str, column: Column) -> str:
    """Say in a word with how many labels a column of a kind of task was trained: ``1 %``, ``4 shots``."""
    return "no labels" if untrained(kind) else column.amount


def lacking_seeds(
    row: Sequence[Found], seeds: Iterable[int], columns: Iterable[Column]
) -> tuple[tuple[Value, ...], str]:
    """Make the values of a row that lacks seeds of the others: a mean over fewer is not comparable."""
    there = tuple(one.cell.seed for one in row)
    why = _lacks(there, seeds)
    return tuple(Value(column, seeds=there, missing="seed missing", reason=why) for column in columns), why


def _lacks(there: Container[int], seeds: Iterable[int]) -> str:
    return f"lacks seed {', '.join(str(seed) for seed in seeds if seed not in there)}"


def untested(name: str, column: Column, row: Mapping[int, Found]) -> str:
    """Say why a number has no interval, without which its column has no bold type either."""
    if any(one.record.predictions is None for one in row.values()):
        why = "its records keep no predictions"
    else:
        few = f"(as with fewer than {FEWEST} patients, or fewer than five that it counts)"
        why = f"its predictions do not allow to draw {column.metric} {few}"
    return f"{name} in {column.task} at {column.amount}: no interval and no test, {why}"


def undefined(rows: Iterable[Row]) -> list[str]:
    """Say which metrics of a table are not defined and why, those alike together."""
    groups: dict[tuple[str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for row in rows:
        for value in row.values:
            if row.sort == "measured" and value.reason.startswith(UNDEFINED):
                place = (value.column.task, value.column.amount, value.reason)
                metrics, names = groups.setdefault(place, ({}, {}))
                metrics[value.column.metric] = names[row.name] = None
    return [
        f"n/a: {listed(list(metrics))} of {listed(list(names))} in {task} at {drawn}: {why}"
        for (task, drawn, why), (metrics, names) in groups.items()
    ]


def listed(words: Sequence[str]) -> str:
    """Write a list of names, a long one cut short."""
    more = len(words) - FEW
    return ", ".join(words) if more <= 1 else f"{', '.join(words[:FEW])} and {more} more"


def _why_undefined(found: Found, evidence: Evidence) -> str:
    """Say what the test images lack, as far as the record and its predictions tell."""
    if labels := _one_sided(found, evidence):
        return f"all positive or all negative: {listed(labels)}"
    images, positive = (part.get("test") for part in (found.record.data.images, found.record.data.positive))
    if positive == 0:
        return "none shows a finding"
    return "every one shows a finding" if positive == images else ""


def _one_sided(found: Found, evidence: Evidence) -> list[str]:
    """Return the labels of a classification whose test images are all positive or all negative."""
    if found.path is None or found.record.predictions is None:
        return []
    with suppress(InputError, KeyError, ValueError, IndexError):
        arrays = evidence.read(found)
        targets = np.asarray(arrays["targets"], np.float64)
        sides = [(targets == side).any(axis=0) for side in (0, 1)]
        return [
            str(name) for name, both in zip(arrays["label"], sides[0] & sides[1], strict=True) if not both
        ]
    return []


def _below_all(found: Found, evidence: Evidence) -> str:
    """Say that no cosine of a record's maps reaches a threshold, where its predictions show that."""
    with suppress(InputError, KeyError, ValueError):
        if found.path is not None and found.record.predictions is not None:
            return below_all(evidence.read(found))
    return ""


def _trivial(record: Record) -> str:
    """Name the trivial predictor whose numbers a record repeats one by one, "" for none."""
    stated = record.metrics
    for name, numbers in record.references.items():
        common = [metric for metric in numbers if stated.get(metric) is not None]
        # One or two numbers may agree by chance.
        if len(common) >= ALIKE and all(stated[metric] == numbers[metric] for metric in common):
            return name
    return ""
