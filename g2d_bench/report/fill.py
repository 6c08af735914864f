"""One column of a table from the records: means, spreads, intervals, what may be bold, what is refused."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import ALPHA, Candidate, against_best, deviation, interval, mean_sd
from g2d_bench.records.evidence import Drawn, Evidence
from g2d_bench.records.selection import Found, by_cell
from g2d_bench.records.signature import mixed
from g2d_bench.report.marks import marked
from g2d_bench.report.model import Column, Missing, Value
from g2d_bench.report.reasons import INFLATED, UNDEFINED, reason, remarks, told, untested


@dataclass
class Filled:
    """What the records say of one column, and what must be said about it.

    Attributes:
        values: row name to value.
        references: trivial predictor to value.
        notes: footnotes.
        signatures: of the records.
        records: those that were used.
    """

    values: dict[str, Value] = field(default_factory=dict)
    references: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    records: list[Found] = field(default_factory=list)


def fill(column: Column, found: Sequence[Found], evidence: Evidence, *, allow_mixed: bool = False) -> Filled:
    """Compute one column.

    Args:
        column: what to compute.
        found: the records of its task, fraction and protocol.
        evidence: where bootstrap draws come from.
        allow_mixed: let several signatures share the column; each is then marked.

    Raises:
        InputError: signatures or data kinds are mixed, one cell has two records, or a metric was edited.
    """
    signatures = _signatures(column, found, allow_mixed)
    letters = {name: chr(ord("a") + n) for n, name in enumerate(signatures)} if len(signatures) > 1 else {}
    rows: dict[str, dict[int, Found]] = defaultdict(dict)
    for cell, one in by_cell(found).items():
        rows[cell.encoder][cell.seed] = one
    seeds = tuple(sorted({seed for row in rows.values() for seed in row}))
    filled = Filled(signatures=signatures, records=list(found))
    scale = 100.0 if column.spec.share else 1.0
    drawn: dict[str, Drawn | None] = {}
    for name, row in rows.items():
        value, drawn[name] = _value(column, row, seeds, scale, evidence)
        [value] = marked([replace(value, reason=reason(value, row, seeds, evidence))], list(row.values()))
        marks = "".join(sorted({letters[one.record.signature] for one in row.values()} if letters else ()))
        filled.values[name] = replace(value, marks=marks)
        if value.missing == "seed missing":
            filled.notes.append(f"n/a: {name} {value.reason} of {column.task} at {column.amount}")
        filled.notes += remarks(name, column, row, evidence)
        filled.notes += [f"n/a: {name} in {column.task}: {why}" for why in told(row.values())]
        if evidence.draws and drawn[name] is None and not value.missing and column.spec.resamples:
            filled.notes.append(INFLATED if column.spec.inflated else untested(name, column, row))
    if not letters:
        for name, p in _against_best(column, filled, drawn).items():
            best = p is None or p > ALPHA
            filled.values[name] = replace(filled.values[name], best=best, p=math.nan if p is None else p)
        if len({one.sample for one in drawn.values() if one is not None}) > 1:
            filled.notes.append(
                f"{column.task}, {column.metric}: not every row was tested on the same images; no test"
            )
    _add_references(filled, column, scale)
    filled.notes += [f"({letter}) signature {name}" for name, letter in letters.items()]
    return filled


def ranked(column: Column, found: Iterable[Found]) -> bool:
    """Say whether encoders of a column may be put in an order: bold type, tests, ranks, pairs and claims.

    Published conventions reward what no one wants (an empty prediction, an image that is left out, a
    threshold from the test images), and so may published protocols: their numbers stand beside quoted ones.

    Args:
        column: its metric is looked at.
        found: the records behind it.
    """
    return not column.spec.published and not any(one.record.published for one in found)


def _add_references(filled: Filled, column: Column, scale: float) -> None:
    """Add trivial predictors; of one that differs by seed, the first seed's."""
    numbers: dict[str, dict[int, float | None]] = defaultdict(dict)
    for one in filled.records:
        for name, values in one.record.references.items():
            if column.metric in values:
                numbers[name].setdefault(one.record.cell.seed, values[column.metric])
    for name, by_seed in numbers.items():
        seed, number = next(iter(by_seed.items()))
        mean = math.nan if number is None else scale * number
        missing: Missing = "undefined" if number is None else ""
        why = UNDEFINED if number is None else ""
        filled.references[name] = Value(column, mean, missing=missing, reason=why)
        if len(set(by_seed.values())) > 1:
            filled.notes.append(f"{name} of {column.task} differs by seed: that of seed {seed} is shown")


def _signatures(column: Column, found: Sequence[Found], allow_mixed: bool) -> list[str]:
    signatures = sorted({one.record.signature for one in found})
    where = f"{column.task} at {column.amount}"
    if len({one.record.data.kind for one in found}) > 1:
        raise InputError(
            f"{where}: generated and real data cannot share a column; choose with --signature phantom: "
            "or --signature real:"
        )
    if len(signatures) > 1 and not allow_mixed:
        raise InputError(f"{where}: {mixed(signatures, 'a column')}, or let --allow-mixed mark them")
    return signatures


def _value(
    column: Column, row: Mapping[int, Found], seeds: tuple[int, ...], scale: float, evidence: Evidence
) -> tuple[Value, Drawn | None]:
    """Average over seeds; a row that lacks a seed of the others has no mean."""
    if len(row) < len(seeds):
        return Value(column, seeds=tuple(sorted(row)), missing="seed missing"), None
    numbers = [evidence.value(row[seed], column.metric) for seed in seeds]
    if all(number is None for number in numbers):
        return Value(column, missing="not measured"), None
    known = [scale * number for number in numbers if number is not None and not math.isnan(number)]
    if len(known) < len(numbers):
        return Value(column, seeds=seeds, missing="undefined"), None
    mean, spread = mean_sd(known)
    drawn = evidence.mean([row[seed] for seed in seeds], column.metric)
    value = Value(column, mean, spread, "seeds" if len(seeds) > 1 else "", seeds=seeds)
    if drawn is None:
        return value, None
    low, high = interval(drawn.draws)
    value = replace(value, low=scale * low, high=scale * high)
    if len(seeds) == 1 and not math.isnan(deviation(drawn.draws)):
        value = replace(value, spread=scale * deviation(drawn.draws), spread_is="patients")
    return value, drawn


def _against_best(
    column: Column, filled: Filled, drawn: Mapping[str, Drawn | None]
) -> dict[str, float | None]:
    """Compare rows with the best of the column; none unless all rows were tested on the same samples."""
    if not ranked(column, filled.records):
        return {}
    values = filled.values
    known = {name for name, value in values.items() if not value.missing}
    rows = {name: one for name, one in drawn.items() if name in known and one is not None}
    if len(rows) < len(known) or len({one.sample for one in rows.values()}) > 1:
        return {}
    candidates = {name: Candidate(values[name].mean, one.draws) for name, one in rows.items()}
    tests = against_best(candidates, higher_is_better=column.spec.higher_is_better)
    if len(candidates) > 1 and not tests:
        filled.notes.append(
            f"{column.task}, {column.metric}: the difference of two rows is often undefined in draws; no test"
        )
    return tests
