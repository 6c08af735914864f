"""Inside and outside: a score on the test images of one's own data set, on those of another, and the drop."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from g2d_bench.metrics.resample import Values, interval, mean_sd
from g2d_bench.records.evidence import Drawn, Evidence
from g2d_bench.records.record import SHARED, TESTED_ON, TRAINED_ON
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import legend
from g2d_bench.report.marks import defect_lines, leak_lines, marked, protocol_lines
from g2d_bench.report.model import INTERVAL, Column, Row, Table, Value
from g2d_bench.report.origin import explained, origins, sentence, tags
from g2d_bench.report.reasons import lacking_seeds, what_was_trained
from g2d_bench.report.table import main_metric

Alike = tuple[Hashable, ...]


def drop_tables(
    found: Iterable[Found],
    order: Sequence[str] = (),
    *,
    main: Mapping[tuple[str, str], str] | None = None,
    evidence: Evidence | None = None,
) -> list[Table]:
    """Make a table per task that is tested elsewhere, amount of labels and protocol.

    Its inside score is that of the task which trains alike, of records with the same encoder, weights, seed,
    data and split. Two test sets have no patient in common, so the interval of the drop is that of the
    difference of independent draws.

    Args:
        found: records of both tasks, with their files; without one that is tested elsewhere, there are no
            tables.
        order: encoder names in the order of rows.
        main: the metric per task and protocol; else the first of the record.
        evidence: where draws come from.
    """
    everything = list(found)
    evidence = evidence or Evidence()
    sets: dict[tuple[str, tuple[float, int], str, str], list[Found]] = defaultdict(list)
    for one in everything:
        if TRAINED_ON in one.record.notes:
            sets[one.cell.task, one.cell.drawn, one.cell.protocol, one.record.signature].append(one)
    own: dict[Alike, Found] = {}
    for one in everything if sets else ():
        own.setdefault(_alike(one, one.cell.task, one.record.data.hash, one.record.data.split_hash), one)
    return [_table(group, own, order, main or {}, evidence) for _, group in sorted(sets.items())]


def _table(
    group: Sequence[Found],
    own: Mapping[Alike, Found],
    order: Sequence[str],
    main: Mapping[tuple[str, str], str],
    evidence: Evidence,
) -> Table:
    first = group[0]
    cell, trained = first.cell, first.record.notes[TRAINED_ON]
    metric = main_metric(first.record, main)
    heads = (
        ("inside", trained["dataset"]),
        ("outside", str(first.record.notes.get(TESTED_ON, ""))),
        ("drop", "inside - outside"),
    )
    columns = tuple(
        Column(cell.task, cell.fraction, metric, cell.protocol, head, cell.shots) for head in heads
    )
    rows: dict[str, list[Found]] = defaultdict(list)
    for one in sorted(group, key=lambda one: one.cell.seed):
        rows[one.cell.encoder].append(one)
    ranks = {name: place for place, name in enumerate(order)}
    names = sorted(rows, key=lambda name: (ranks.get(name, len(ranks)), name))
    known = origins(one for name in names for one in rows[name])
    generated = first.record.data.kind == "phantom"
    marks = tags(known, generated=generated)
    made, notes, used = [], [], []
    seeds = sorted({one.cell.seed for one in group})
    for name in names:
        inside = [_inside(one, own) for one in rows[name]]
        if len(rows[name]) < len(seeds):
            values, why = lacking_seeds(rows[name], seeds, columns)
        else:
            values, why = _values(rows[name], inside, columns, evidence)
            why = why and f"inside score: {why}"
        own_data = [one for one in inside if one is not None]
        used += [*rows[name], *own_data]
        parts = zip(values, (own_data, rows[name], [*own_data, *rows[name]]), strict=True)
        values = tuple(one for value, behind in parts for one in marked([value], behind))
        made.append(Row(name, values, origin=known[name], tag=marks[name]))
        if why:
            notes.append(f"n/a: {name} in {cell.task} at {cell.amount}: {why}")
    there = [one for name in names for one in rows[name]]
    test = first.record.data.images["test"], first.record.data.positive["test"]
    facts = [
        f"trained on {trained['dataset']}, as {trained['task'] or 'no other task'} is; tested outside on "
        f"{test[0]} images of {heads[1][1]}, {test[1]} positive",
        *dict.fromkeys(str(one.record.notes[SHARED]) for one in there if SHARED in one.record.notes),
        INTERVAL + "; that of the drop is of independent draws of both test sets",
        "a positive drop is a loss, whichever way the metric goes",
        sentence(known),
        *legend(made),
        *protocol_lines(used),
        *defect_lines(used),
    ]
    warnings = [*explained(marks.values()), *leak_lines(used)]
    if trained["kind"] == "phantom" and not generated:
        warnings.append("trained on GENERATED DATA (phantom), tested outside on real films")
    where = f"{what_was_trained(first)} · protocol {cell.protocol}"
    return Table(
        title=f"{cell.task} · inside and outside, {metric} · {where}",
        columns=columns,
        rows=tuple(made),
        generated=generated,
        facts=tuple(facts),
        notes=tuple(dict.fromkeys(notes)),
        signatures=(first.record.signature,),
        warnings=tuple(warnings),
    )


def _alike(found: Found, task: str, data: str, split: str) -> Alike:
    """Return what records share that trained alike: task, data and split of it, cell and weights."""
    cell = found.cell
    return task, data, split, cell.drawn, cell.seed, cell.encoder, cell.protocol, found.record.encoder.weights


def _inside(outside: Found, own: Mapping[Alike, Found]) -> Found | None:
    """Find the record that trained alike and was tested on its own data set."""
    trained = outside.record.notes[TRAINED_ON]
    # A stranger's note may hold anything.
    task, data, split = (str(trained[name]) for name in ("task", "hash", "split_hash"))
    return own.get(_alike(outside, task, data, split))


def _values(
    outside: Sequence[Found], inside: Sequence[Found | None], columns: Sequence[Column], evidence: Evidence
) -> tuple[tuple[Value, ...], str]:
    """Return inside, outside and drop of an encoder, and why there is no inside score."""
    there, drawn_there = _value(columns[1], outside, evidence)
    found = [one for one in inside if one is not None]
    if len(found) < len(inside):
        task = outside[0].record.notes[TRAINED_ON]["task"]
        lacking = [str(one.cell.seed) for one, own in zip(outside, inside, strict=True) if own is None]
        why = (
            f"no record of {task} with the same weights, data and split, seed {', '.join(lacking)}"
            if task
            else "its card names no task that trains alike"
        )
        empty = [Value(column, missing="not measured", reason=why) for column in (columns[0], columns[2])]
        return (empty[0], there, empty[1]), why
    here, drawn_here = _value(columns[0], found, evidence)
    sign = 1.0 if columns[0].spec.higher_is_better else -1.0
    if here.missing or there.missing:
        why = "not defined on the test images of one of both"
        return (here, there, Value(columns[2], missing="undefined", reason=why)), ""
    scale = 100.0 if columns[0].spec.share else 1.0
    low = high = math.nan
    if drawn_here is not None and drawn_there is not None:
        low, high = interval(sign * scale * independent(drawn_here.draws, drawn_there.draws))
    pairs = zip(_numbers(found, columns[0], evidence), _numbers(outside, columns[1], evidence), strict=True)
    mean, spread = mean_sd([sign * scale * (own - other) for own, other in pairs])
    several = len(found) > 1
    drop = Value(columns[2], mean, spread, "seeds" if several else "", low, high, here.seeds)
    return (here, there, drop), ""


def independent(first: Values, second: Values) -> Values:
    """Return the difference of draws of two test sets, shuffled against each other.

    Draws of as many patients are the same numbers, which would tie two test sets that have nothing in common.
    """
    count = min(len(first), len(second))
    shuffled = np.random.default_rng(0).permutation(second[:count])
    return np.asarray(first[:count] - shuffled, np.float64)


def _numbers(found: Sequence[Found], column: Column, evidence: Evidence) -> list[float]:
    values = (evidence.value(one, column.metric) for one in found)
    return [math.nan if value is None else value for value in values]


def _value(column: Column, found: Sequence[Found], evidence: Evidence) -> tuple[Value, Drawn | None]:
    numbers = _numbers(found, column, evidence)
    if any(math.isnan(number) for number in numbers):
        return Value(column, missing="undefined", reason="not defined on these test images"), None
    scale = 100.0 if column.spec.share else 1.0
    mean, spread = mean_sd([scale * number for number in numbers])
    drawn = evidence.mean(found, column.metric)
    low, high = (math.nan, math.nan) if drawn is None else interval(scale * drawn.draws)
    several = len(numbers) > 1
    seeds = tuple(one.cell.seed for one in found)
    return Value(column, mean, spread, "seeds" if several else "", low, high, seeds), drawn
