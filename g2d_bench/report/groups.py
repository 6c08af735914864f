"""Scores per group of patients: by sex, age, view or device; the worst group, and the gap to the best one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import REPLICATES, Values, interval, mean_sd
from g2d_bench.plain import counted
from g2d_bench.records.groups import groups_of, in_order
from g2d_bench.records.parts import Pairs, Parts, Texts_of, kept_groups, parts_of
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import mixed
from g2d_bench.report.contamination import legend
from g2d_bench.report.marks import defect_lines, leak_lines, marked, protocol_lines
from g2d_bench.report.model import INTERVAL, Column, Row, Table, Value
from g2d_bench.report.origin import explained, origins, sentence, tags
from g2d_bench.report.reasons import lacking_seeds, told, what_was_trained
from g2d_bench.report.table import main_metric

SMALLEST = 20
"""Images that a group must have to be called the worst or the best."""


@dataclass(frozen=True)
class Part:
    """A group of test images, or all of them.

    Attributes:
        name: of the group; "" for all images.
        images: how many different ones there are, each of which may be asked for several findings.
        point: value per record of an encoder (one per seed), NaN where undefined.
        draws: mean over seeds per draw of patients, [R]; one NaN where nothing can be drawn.
    """

    name: str
    images: int
    point: tuple[float, ...]
    draws: Values


def group_tables(
    found: Iterable[Found],
    by: str,
    order: Sequence[str] = (),
    *,
    main: Mapping[tuple[str, str], str] | None = None,
    metrics: Sequence[str] = (),
    elsewhere: Texts_of | None = None,
    count: int = REPLICATES,
) -> tuple[list[Table], list[str]]:
    """Make a table per task, amount of labels, protocol, kind of data and metric: encoders by groups.

    All groups are drawn together, patient by patient, so that the gap between two of them has an interval of
    its own draws (paired), also where patients are in several groups.

    Args:
        found: records with their files.
        by: one of :data:`~g2d_bench.records.groups.ATTRIBUTES`.
        order: encoder names in the order of rows.
        main: the metric per task and protocol; else the first of the record.
        metrics: these instead of the main one.
        elsewhere: gives the groups of records that keep none.
        count: draws of an interval.

    Returns:
        The tables, and a line per task of which nothing could be said.

    Raises:
        InputError: nothing is grouped by that, or no record tells its groups.
    """
    groups_of({}, by)
    sets: dict[tuple[str, tuple[float, int], str, str], list[Found]] = defaultdict(list)
    for one in found:
        cell = one.cell
        sets[cell.task, cell.drawn, cell.protocol, one.record.data.kind].append(one)
    tables, left = [], []
    for (task, *_), group in sorted(sets.items()):
        for metric in metrics or (main_metric(group[0].record, main or {}),):
            made = _table(group, by, metric, order, elsewhere, count)
            if isinstance(made, str):
                left.append(f"{task}: {made}")
            else:
                tables.append(made)
    if not tables:
        raise InputError(left[0] if left else "no record", field="--by")
    return tables, list(dict.fromkeys(left))


def pairs_of(
    found: Found, attributes: Sequence[str], metrics: Sequence[str], main: Mapping[tuple[str, str], str]
) -> Pairs:
    """Return what :func:`group_tables` will draw of a record that itself tells its groups."""
    kept = kept_groups(found)
    names = [name for name in metrics or (main_metric(found.record, main),) if _resamples(name)]
    return tuple((by, name) for by in attributes if by in kept for name in names)


def _resamples(metric: str) -> bool:
    with suppress(InputError):  # an adapter of somebody's own may state what is unknown here
        return metric_spec(metric).resamples
    return False


def _table(
    group: Sequence[Found], by: str, metric: str, order: Sequence[str], elsewhere: Texts_of | None, count: int
) -> Table | str:
    """Make one table, or say why there is none."""
    signatures = {one.record.signature for one in group}
    if len(signatures) > 1:
        where = f"{group[0].cell.task} at {group[0].cell.amount}"
        raise InputError(f"{where}: {mixed(signatures, 'a table')}")
    if not metric_spec(metric).resamples:
        return f"{metric} depends on the order of the images and has no value for a part of them"
    rows: dict[str, list[Found]] = defaultdict(list)
    for one in sorted(group, key=lambda one: one.cell.seed):
        rows[one.cell.encoder].append(one)
    kept = {
        name: [one for one in seeds if one.path is not None and one.record.predictions is not None]
        for name, seeds in rows.items()
    }
    numbers = sorted({one.cell.seed for seeds in kept.values() for one in seeds})
    short = {name: seeds for name, seeds in kept.items() if 0 < len(seeds) < len(numbers)}
    parts, whys = _divided(
        {name: seeds for name, seeds in kept.items() if seeds and name not in short},
        lambda seeds: _parts(seeds, by, metric, elsewhere, count),
    )
    whys |= {
        name: "; ".join(told(seeds)) or "its records keep no predictions"
        for name, seeds in rows.items()
        if not kept[name]
    }
    if not parts:
        return next(iter(whys.values()), "no encoder has all seeds of the others")
    names = in_order(by, sorted({part.name for made in parts.values() for part in made if part.name}))
    sizes = {part.name: part.images for made in parts.values() for part in made}
    cell = group[0].cell

    def column(*heads: str) -> Column:
        return Column(cell.task, cell.fraction, metric, cell.protocol, heads, cell.shots)

    heads = [
        column("all", f"n {sizes['']}"),
        *(column(f"{by} {name}", f"n {sizes[name]}") for name in names),
        column("worst", "group"),
        column("gap", "best - worst"),
    ]
    ranks = {name: place for place, name in enumerate(order)}
    shown = sorted(rows, key=lambda name: (ranks.get(name, len(ranks)), name))
    generated = group[0].record.data.kind == "phantom"
    known = origins(one for name in shown for one in rows[name])
    marks = tags(known, generated=generated)
    rows_made: list[Row] = []
    remarks: dict[str, list[str]] = {}
    for name in shown:
        if name in short:
            values, why = lacking_seeds(short[name], numbers, heads)
            said = [why]
        elif name in whys:
            values = tuple(Value(head, missing="undefined", reason=whys[name]) for head in heads)
            said = [whys[name]]
        else:
            values, said = _values(parts[name], names, heads)
        rows_made.append(Row(name, marked(values, rows[name]), origin=known[name], tag=marks[name]))
        for line in said:
            remarks.setdefault(line, []).append(name)
    used = sum(sizes[name] for name in names)
    facts = [
        f"test set: {sizes['']} images, of which {sizes[''] - used} do not tell the {by}",
        f"{counted(len(numbers), 'seed')} ({', '.join(map(str, numbers))})"
        + (" · values in %" if heads[0].spec.share else "")
        + (" · ± is the standard deviation over seeds" if len(numbers) > 1 else ""),
        INTERVAL,
        f"gap: best less worst group of at least {SMALLEST} images, with the interval of both on the same "
        "drawn patients; which groups these are was found on these images, so this is no test of a gap",
        sentence({name: known[name] for name in shown}),
        *legend(rows_made),
        *protocol_lines(group),
        *defect_lines(group),
    ]
    return Table(
        title=f"{cell.task} · {metric} by {by} · {what_was_trained(group[0])} · protocol {cell.protocol}",
        columns=tuple(heads),
        rows=tuple(rows_made),
        generated=generated,
        warnings=(*explained(marks.values()), *leak_lines(group)),
        facts=tuple(facts),
        notes=tuple(f"n/a: {', '.join(names)}: {line}" for line, names in remarks.items()),
        signatures=(group[0].record.signature,),
    )


def _divided(
    rows: Mapping[str, Sequence[Found]], measure: Callable[[Sequence[Found]], list[Part] | str]
) -> tuple[dict[str, list[Part]], dict[str, str]]:
    """Return the parts of each encoder, and why others cannot be divided."""
    parts, whys = {}, {}
    for name, seeds in rows.items():
        made = measure(seeds)
        if isinstance(made, str):
            whys[name] = made
        else:
            parts[name] = made
    return parts, whys


def _parts(
    seeds: Sequence[Found], by: str, metric: str, elsewhere: Texts_of | None, count: int
) -> list[Part] | str:
    """Measure all images and each group, or say why that is not possible."""
    found: list[Parts] = []
    for one in seeds:
        parts = parts_of(one, by, metric, elsewhere, count)
        if isinstance(parts, str):
            return parts
        found.append(parts)
    if len({one.measured.sample for one in found}) > 1:
        return "its seeds were tested on different images"
    return [
        Part(
            group.name,
            group.images,
            tuple(one.measured.groups[place].point for one in found),
            _mean_draws([one.draws.get(group.name) for one in found]),
        )
        for place, group in enumerate(found[0].measured.groups)
    ]


def _mean_draws(parts: Sequence[Values | None]) -> Values:
    """Return the mean over seeds per draw; one NaN where nothing could be drawn."""
    known = [part for part in parts if part is not None]
    return np.asarray(np.mean(known, axis=0) if len(known) == len(parts) else [math.nan], np.float64)


def _values(
    parts: Sequence[Part], names: Sequence[str], columns: Sequence[Column]
) -> tuple[tuple[Value, ...], list[str]]:
    """Make the values of an encoder's row: all images, each group, the worst of them, the gap."""
    spec = columns[0].spec
    scale = 100.0 if spec.share else 1.0
    by_name = {part.name: part for part in parts}
    values = [_value(columns[place], by_name.get(name), scale) for place, name in enumerate(("", *names))]
    notes = [
        f"{columns[1 + place].heads[0]}: {columns[0].metric} is not defined on its images"
        for place, name in enumerate(names)
        if values[1 + place].missing == "undefined"
    ]
    known = [
        part
        for part in parts
        if part.name
        and part.images >= SMALLEST
        and not any(math.isnan(number) for number in (*part.point, *interval(part.draws)))
    ]
    if len(known) < 2:
        why = f"fewer than two groups of {SMALLEST} images have a value with an interval"
        why = f"{columns[0].metric} is larger the fewer images a group has" if spec.inflated else why
        lacking = [Value(column, missing="undefined", reason=why) for column in columns[-2:]]
        return (*values, *lacking), [*notes, f"gap: {why}"]
    sign = 1.0 if spec.higher_is_better else -1.0
    ordered = sorted(known, key=lambda part: sign * float(np.mean(part.point)))
    worst, best = ordered[0], ordered[-1]
    difference = Part(
        "",
        0,
        tuple(sign * (b - w) for b, w in zip(best.point, worst.point, strict=True)),
        sign * (best.draws - worst.draws),
    )
    return (
        *values,
        replace(_value(columns[-2], worst, scale), of=worst.name),
        replace(_value(columns[-1], difference, scale), of=f"{best.name} - {worst.name}"),
    ), notes


def _value(column: Column, part: Part | None, scale: float) -> Value:
    if part is None or any(math.isnan(point) for point in part.point):
        return Value(column, missing="undefined", reason="not defined on the images of this group")
    mean, spread = mean_sd([scale * point for point in part.point])
    low, high = interval(part.draws)
    several = len(part.point) > 1
    seeds = tuple(range(len(part.point)))
    return Value(column, mean, spread, "seeds" if several else "", scale * low, scale * high, seeds)
