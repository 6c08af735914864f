"""Comparable result tables: records sorted into columns and rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from g2d_bench.plan import percent
from g2d_bench.report.evidence import Evidence
from g2d_bench.report.fill import Filled, fill
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.results import Record
from g2d_bench.selection import Found


def blocks(
    records: Iterable[Found | Record],
    order: Sequence[str] = (),
    *,
    metrics: Mapping[str, Sequence[str]],
    allow_mixed: bool = False,
    evidence: Evidence | None = None,
) -> list[Table]:
    """Sort records into one table per task, fraction, protocol and kind of data; columns are metrics.

    Args:
        records: any records; with their files, intervals and bold type can be given.
        order: encoder names in the order of rows; others follow by name.
        metrics: columns per task name; a task that is not there shows all metrics of its records.
        allow_mixed: let several signatures share a column; they are then marked.
        evidence: where bootstrap draws come from.

    Raises:
        InputError: signatures are mixed, one cell has two records, or a metric was edited.
    """
    evidence = evidence or Evidence()
    groups: dict[tuple[str, float, str, str], list[Found]] = defaultdict(list)
    for one in records:
        found = one if isinstance(one, Found) else Found(one)
        cell = found.cell
        groups[cell.task, cell.fraction, cell.protocol, found.record.data.kind].append(found)
    return [_block(group, order, metrics, allow_mixed, evidence) for _, group in sorted(groups.items())]


def _block(
    group: list[Found],
    order: Sequence[str],
    metrics: Mapping[str, Sequence[str]],
    allow_mixed: bool,
    evidence: Evidence,
) -> Table:
    cell = group[0].cell
    names = metrics.get(cell.task) or dict.fromkeys(name for one in group for name in one.record.metrics)
    columns = tuple(Column(cell.task, cell.fraction, metric, cell.protocol, (metric,)) for metric in names)
    filled = [fill(column, group, evidence, allow_mixed=allow_mixed) for column in columns]
    train = max(one.record.data.images["train"] for one in group)
    share = f"{percent(cell.fraction)} of the training labels ({train} images)"
    return assemble(
        f"{cell.task} · {share} · protocol {cell.protocol}",
        columns,
        filled,
        order=order,
    )


def assemble(
    title: str,
    columns: tuple[Column, ...],
    filled: Sequence[Filled],
    *,
    order: Sequence[str] = (),
    panels: Sequence[tuple[str, Sequence[Filled]]] = (),
) -> Table:
    """Lay filled columns side by side.

    Args:
        title: one line.
        columns: headings.
        filled: one per column (ignored with panels).
        order: encoder names in the order of rows; others follow by name.
        panels: name and filled columns per panel, where rows repeat.
    """
    ranks = {name: n for n, name in enumerate(order)}
    rows: list[Row] = []
    parts = panels or [("", filled)]
    for panel, part in parts:
        names = sorted(
            {name for one in part for name in one.values}, key=lambda n: (ranks.get(n, len(ranks)), n)
        )
        trivial = list(dict.fromkeys(name for one in part for name in one.references))
        rows += [
            Row(
                name,
                tuple(
                    one.values.get(name, Value(column, missing="not measured"))
                    for one, column in _pairs(part, columns)
                ),
                panel=panel,
            )
            for name in names
        ]
        rows += [
            Row(
                name,
                tuple(
                    one.references.get(name, Value(column, missing="not measured"))
                    for one, column in _pairs(part, columns)
                ),
                "reference",
                panel,
            )
            for name in trivial
        ]
    everything = [one for _, part in parts for one in part]
    used = [found for one in everything for found in one.records]
    return Table(
        title=title,
        columns=columns,
        rows=tuple(rows),
        generated=any(found.record.data.kind == "phantom" for found in used),
        facts=tuple(_facts(used, rows)),
        notes=tuple(dict.fromkeys(note for one in everything for note in one.notes)),
        signatures=tuple(sorted({name for one in everything for name in one.signatures})),
    )


def _pairs(part: Sequence[Filled], columns: Sequence[Column]) -> list[tuple[Filled, Column]]:
    return list(zip(part, columns, strict=True))


def _facts(used: Sequence[Found], rows: Sequence[Row]) -> list[str]:
    values = [value for row in rows for value in row.values if row.sort == "measured"]
    tests = dict.fromkeys(
        (one.record.cell.task, one.record.data.images["test"], one.record.data.positive["test"])
        for one in used
    )
    several = len({task for task, *_ in tests}) > 1
    facts = [
        f"test set{' of ' + task if several else ''}: {images} images, {positive} positive"
        for task, images, positive in tests
    ]
    facts += _meaning(values)
    facts += [f"LEAK ALLOWED: {reason}" for reason in sorted({o.record.data.leaks for o in used} - {""})]
    return facts


def _meaning(values: Sequence[Value]) -> list[str]:
    """Say what stands behind ± and in brackets."""
    seeds = sorted({seed for value in values for seed in value.seeds})
    shown = {value.spread_is for value in values}
    parts = []
    if seeds:
        parts.append(f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))})")
    if any(value.column.spec.share for value in values):
        parts.append("values in %")
    if "seeds" in shown:
        parts.append("± is the standard deviation over seeds")
    if "patients" in shown:
        lead = "where there is one seed, ±" if "seeds" in shown else "±"
        parts.append(f"{lead} is the bootstrap standard deviation by patient over the test set")
    if any(value.limits for value in values):
        parts.append("[ ] is the 95 % bootstrap interval by patient over the test set")
    return [" · ".join(parts)] if parts else []
