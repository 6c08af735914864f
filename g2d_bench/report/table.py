"""Comparable result tables: records sorted into columns and rows."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from g2d_bench.cards.kind import KINDS, untrained
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.progress import track
from g2d_bench.records.cell import amount, labels_of, percent
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.quoted import Quoted
from g2d_bench.records.record import LEGACY, Record
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import legend
from g2d_bench.report.fill import Filled, fill
from g2d_bench.report.marks import defect_lines, leak_lines, protocol_lines
from g2d_bench.report.model import INTERVAL, Column, Row, Table, Value
from g2d_bench.report.origin import explained, origins, sentence, several_weights, tags
from g2d_bench.report.papers import LAYOUTS, PAPER, PaperColumn
from g2d_bench.report.quoted_rows import Beside, fraction_of, quoted_rows
from g2d_bench.report.reasons import UNTRAINED, undefined


@dataclass
class Panel:
    """Rows that are compared with each other.

    Attributes:
        columns: what the rows hold.
        filled: one per column.
        name: heading, where a table has several panels.
        quoted: rows of quoted numbers.
        notes: their footnotes.
    """

    columns: Sequence[Column]
    filled: Sequence[Filled]
    name: str = ""
    quoted: Sequence[Row] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def blocks(
    records: Iterable[Found | Record],
    order: Sequence[str] = (),
    *,
    metrics: Mapping[str, Sequence[str]],
    allow_mixed: bool = False,
    evidence: Evidence | None = None,
    quoted: Sequence[Quoted] = (),
) -> list[Table]:
    """Sort records into one table per task, fraction, protocol and kind of data; columns are metrics.

    Args:
        records: any records; with their files, intervals and bold type can be given.
        order: encoder names in the order of rows; others follow by name.
        metrics: columns per task name; a task that is not there shows all metrics of its records.
        allow_mixed: let several signatures share a column; they are then marked.
        evidence: where bootstrap draws come from.
        quoted: numbers of papers; those of the same task, fraction and convention get rows of their own.

    Raises:
        InputError: signatures are mixed, one cell has two records, or a metric was edited.
    """
    evidence = evidence or Evidence()
    groups: dict[tuple[str, tuple[float, int], str, str], list[Found]] = defaultdict(list)
    for one in records:
        found = one if isinstance(one, Found) else Found(one)
        cell = found.cell
        groups[cell.task, cell.drawn, cell.protocol, found.record.data.kind].append(found)
    made = []
    for _, group in track(sorted(groups.items()), "bootstrap", unit="table"):
        cell = group[0].cell
        names = metrics.get(cell.task) or dict.fromkeys(name for one in group for name in one.record.metrics)
        columns = [
            Column(cell.task, cell.fraction, name, cell.protocol, (name,), cell.shots) for name in names
        ]
        filled = [fill(column, group, evidence, allow_mixed=allow_mixed) for column in columns]
        beside = Beside.of(group)
        rows, notes = quoted_rows(columns, quoted, _same_convention, _full_name, beside=beside)
        title = f"{cell.task} · {_labels(group)} · protocol {cell.protocol}"
        made.append(assemble(title, [Panel(columns, filled, quoted=rows, notes=notes)], order=order))
    return made


def summary(
    records: Iterable[Found],
    order: Sequence[str] = (),
    *,
    main: Mapping[tuple[str, str], str] | None = None,
    allow_mixed: bool = False,
    evidence: Evidence | None = None,
    quoted: Sequence[Quoted] = (),
) -> list[Table]:
    """Make one table per protocol and kind of data: one metric per task, at each fraction.

    A column per task and fraction; readers are shown it turned (encoders side by side, a line per task and
    fraction) unless quoted rows, which are many, stand below the measured ones.

    Args:
        records: any records.
        order: encoder names in the order of rows.
        main: the metric per task and protocol; the first of its records for one that is not there.
        allow_mixed: see :func:`blocks`.
        evidence: see :func:`blocks`.
        quoted: see :func:`blocks`.
    """
    evidence = evidence or Evidence()
    groups: dict[tuple[str, str], dict[tuple[str, tuple[float, int]], list[Found]]] = defaultdict(dict)
    for one in records:
        cell = one.record.cell
        columns = groups[cell.protocol, one.record.data.kind]
        columns.setdefault((cell.task, cell.drawn), []).append(one)
    made = []
    for (protocol, _), parts in sorted(groups.items()):
        pairs = []
        for (task, drawn), part in sorted(parts.items(), key=lambda item: _by_kind(*item)):
            kind = part[0].record.kind
            metric = main_metric(part[0].record, main or {})
            share = () if untrained(kind) else (amount(*drawn),)
            heads = (KINDS[kind].heading if kind in KINDS else kind, f"{task}, {metric}", *share)
            pairs.append((Column(task, drawn[0], metric, protocol, heads, drawn[1]), part))
        columns_made = [column for column, _ in pairs]
        shown = track(pairs, "bootstrap", unit="column")
        filled = [fill(column, part, evidence, allow_mixed=allow_mixed) for column, part in shown]
        beside = Beside.of([one for part in parts.values() for one in part])
        rows, notes = quoted_rows(columns_made, quoted, _same_convention, _full_name, beside=beside)
        panel = Panel(columns_made, filled, quoted=rows, notes=notes)
        title = f"Main metric per task and share of the labels · protocol {protocol}"
        made.append(replace(assemble(title, [panel], order=order), turned=not rows))
    return made


def main_metric(record: Record, main: Mapping[tuple[str, str], str]) -> str:
    """Return the metric of a record that a summary shows; see :func:`summary`."""
    return main.get((record.cell.task, record.cell.protocol)) or next(iter(record.metrics))


def _by_kind(place: tuple[str, tuple[float, int]], part: Sequence[Found]) -> tuple[int, str, int, float]:
    kind = part[0].record.kind
    task, (fraction, shots) = place
    return KINDS[kind].place if kind in KINDS else sys.maxsize, task, shots, fraction


def _labels(group: Sequence[Found]) -> str:
    """Say how many labels the cells of a column were trained with."""
    if untrained(group[0].record.kind):
        return UNTRAINED
    train = max(one.record.data.images["train"] for one in group)
    return f"{labels_of(group[0].cell)} ({train} images)"


def _same_convention(column: Column, cell: Quoted) -> bool:
    same = (cell.task, cell.convention, cell.label) == (column.task, column.metric, "")
    # Papers' shots are not drawn as ours.
    return same and not column.shots and fraction_of(cell) in (None, column.fraction)


def _full_name(cell: Quoted) -> str:
    return f"{cell.method} ({cell.paper}, {cell.table})"


def paper_table(
    name: str,
    records: Iterable[Found],
    order: Sequence[str] = (),
    *,
    protocols: Sequence[str] = (),
    allow_mixed: bool = False,
    evidence: Evidence | None = None,
    quoted: Sequence[Quoted] = (),
) -> Table:
    """Fill a table of the paper with measured cells.

    Args:
        name: one of :data:`g2d_bench.report.papers.LAYOUTS`.
        records: any records; those that the table does not show are left out.
        order: encoder names in the order of rows.
        protocols: whose cells are shown; by default the layout's.
        allow_mixed: see :func:`blocks`.
        evidence: see :func:`blocks`; it computes :func:`paper_more`.
        quoted: numbers of papers; those of this very table get rows of their own.

    Raises:
        InputError: no cell of the table was measured and nothing is quoted; see also :func:`blocks`.
    """
    layout = LAYOUTS[name]
    wanted = tuple(protocols) or (layout.protocol,)
    found = [one for one in records if one.record.cell.protocol in wanted]
    printed = [cell for cell in quoted if (cell.paper, cell.table) == (PAPER, layout.table)]
    evidence = evidence or Evidence(more=paper_more(name))
    panels = []
    for fraction in layout.panels or (None,):
        pairs = [_paper_column(one, found, fraction, "+".join(wanted)) for one in layout.columns]
        columns = [column for column, _ in pairs]
        filled = [fill(column, part, evidence, allow_mixed=allow_mixed) for column, part in pairs]
        where = dict(zip(columns, layout.columns, strict=True))
        title = "" if fraction is None else f"{percent(fraction)} of the training labels"
        beside = Beside.of([one for _, part in pairs for one in part])
        rows, notes = quoted_rows(
            columns, printed, _same_place(where), lambda cell: cell.method, title, beside=beside
        )
        panels.append(Panel(columns, filled, title, rows, notes))
    if not any(one.values for panel in panels for one in panel.filled) and not printed:
        tasks = ", ".join(dict.fromkeys(column.task for column in layout.columns))
        raise InputError(
            f"no record of {tasks} under protocol {' or '.join(wanted)} passes the filters", field=name
        )
    return assemble(
        f"{layout.title} ({PAPER}, {layout.table}) · protocol {' or '.join(wanted)}", panels, order=order
    )


def _paper_column(
    printed: PaperColumn, found: Sequence[Found], panel: float | None, protocol: str
) -> tuple[Column, list[Found]]:
    """Choose the metric and the records of a printed column."""
    mine = [one for one in found if one.record.cell.task == printed.task and not one.record.cell.shots]
    fraction = printed.fraction if panel is None else panel
    if fraction is None:
        # Zero-shot needs no labels; whatever fraction its cells bear, one is shown.
        fraction = max((one.record.cell.fraction for one in mine), default=1.0)
    mine = [one for one in mine if one.record.cell.fraction == fraction]
    metric = _preferred(printed, {metric for one in mine for metric in one.record.metrics}, protocol)
    heads = tuple(head.format(metric=metric) for head in printed.heads)
    return Column(printed.task, fraction, metric, protocol, heads), mine


def _preferred(printed: PaperColumn, there: Collection[str], protocol: str) -> str:
    """Choose the metric of a printed column among those that records have."""
    choices = printed.legacy if protocol.startswith(LEGACY) and printed.legacy else printed.metrics
    return next((name for name in choices if name.split("/")[0] in there or name in there), choices[0])


def paper_more(name: str) -> list[str]:
    """Return the metrics of a paper's table that records need not state, sorted."""
    columns = LAYOUTS[name].columns
    return sorted({metric for c in columns for metric in (*c.metrics, *c.legacy) if "/" in metric})


def paper_metrics(name: str, record: Record, protocols: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the metrics that a paper's table asks of a record; see :func:`paper_table`."""
    cell, layout = record.cell, LAYOUTS[name]
    if cell.shots or cell.protocol not in (tuple(protocols) or (layout.protocol,)):
        return ()
    mine = [printed for printed in layout.columns if printed.task == cell.task]
    return tuple(dict.fromkeys(_preferred(one, record.metrics, cell.protocol) for one in mine))


def _same_place(where: Mapping[Column, PaperColumn]) -> Callable[[Column, Quoted], bool]:
    def matches(column: Column, cell: Quoted) -> bool:
        printed = where[column]
        return (cell.task, cell.metric, cell.label) == (printed.task, printed.printed, printed.label) and (
            fraction_of(cell) in (None, column.fraction)
        )

    return matches


def assemble(title: str, panels: Sequence[Panel], *, order: Sequence[str] = ()) -> Table:
    """Lay filled columns side by side, panels below each other; trivial predictors last.

    Args:
        title: one line.
        panels: all with the same headings.
        order: encoder names in the order of rows; others follow by name.
    """
    ranks = {name: n for n, name in enumerate(order)}
    filled = [one for panel in panels for one in panel.filled]
    used = list({id(found): found for one in filled for found in one.records}.values())
    generated = any(found.record.data.kind == "phantom" for found in used)
    known = origins(sorted(used, key=lambda one: _place(one.record.cell.encoder, ranks)))
    quoted = any(panel.quoted for panel in panels)
    marks = tags(known, generated=generated, quoted=quoted)
    rows: list[Row] = []
    for panel in panels:
        encoders = {name for one in panel.filled for name in one.values}
        for name in sorted(encoders, key=lambda n: _place(n, ranks)):
            values = [one.values.get(name) for one in panel.filled]
            complete = _complete(values, panel.columns)
            rows.append(Row(name, complete, panel=panel.name, origin=known[name], tag=marks[name]))
        rows += panel.quoted
        for name in dict.fromkeys(name for one in panel.filled for name in one.references):
            values = [one.references.get(name) for one in panel.filled]
            rows.append(Row(name, _complete(values, panel.columns), "reference", panel.name))
    notes = [
        *several_weights(used),
        *undefined(rows),
        *(note for one in filled for note in one.notes),
        *(note for panel in panels for note in panel.notes),
    ]
    facts = _facts(used, rows)
    if known:
        facts.append(sentence(known))
    facts += legend(rows)
    warnings = [*explained(marks.values()), *leak_lines(used)]
    if quoted and (measured := Beside.of(used)):
        warnings += measured.warning
    return Table(
        title=title,
        columns=tuple(panels[0].columns),
        rows=tuple(rows),
        generated=generated,
        facts=tuple(facts),
        warnings=tuple(warnings),
        notes=tuple(dict.fromkeys(notes)),
        signatures=tuple(sorted({name for one in filled for name in one.signatures})),
    )


def _place(name: str, ranks: Mapping[str, int]) -> tuple[int, str]:
    """Sort key of encoder names: those that have a rank first."""
    return ranks.get(name, len(ranks)), name


def _complete(values: Sequence[Value | None], columns: Sequence[Column]) -> tuple[Value, ...]:
    pairs = zip(values, columns, strict=True)
    return tuple(
        value or Value(column, missing="not measured", reason="not measured") for value, column in pairs
    )


def _facts(used: Sequence[Found], rows: Sequence[Row]) -> list[str]:
    values = [value for row in rows for value in row.values if row.sort == "measured"]
    tests = dict.fromkeys(
        (one.record.cell.task, one.record.data.images["test"], one.record.data.positive["test"])
        for one in used
    )
    several = len({task for task, *_ in tests}) > 1
    if several:
        listed = ", ".join(f"{task} {images} ({positive})" for task, images, positive in tests)
        facts = [f"test images (positive ones): {listed}"]
    else:
        facts = [f"test set: {images} images, {positive} positive" for _, images, positive in tests]
        facts += _reports(used)
    facts += _meaning(values)
    facts += protocol_lines(used)
    return facts if several else [*facts, *defect_lines(used)]


def _reports(used: Sequence[Found]) -> list[str]:
    """Say how many reports retrieval ranks, and that copies of one are right for each other."""
    lines = []
    for one in used:
        said = one.record.notes.get("reports")
        if isinstance(said, dict) and {"different", "images_that_share_one", "most_common"} <= said.keys():
            line = f"{said['different']} different reports"
            if shared := said["images_that_share_one"]:
                line += (
                    f"; {shared} images share theirs with others (the most common: {said['most_common']}), "
                    "and every image with the same report is right"
                )
            lines.append(line)
    return list(dict.fromkeys(lines))


def _meaning(values: Sequence[Value]) -> list[str]:
    """Say what stands behind ± and in brackets."""
    seeds = sorted({seed for value in values for seed in value.seeds})
    shown = {value.spread_is for value in values}
    parts = []
    if seeds:
        parts.append(f"{counted(len(seeds), 'seed')} ({', '.join(map(str, seeds))})")
    if any(value.column.spec.share for value in values):
        parts.append("values in %")
    if "seeds" in shown:
        parts.append("± is the standard deviation over seeds")
    if "patients" in shown:
        lead = "where there is one seed, ±" if "seeds" in shown else "±"
        parts.append(f"{lead} is the bootstrap standard deviation by patient over the test set")
    lines = [" · ".join(parts)] if parts else []
    if any(value.limits for value in values):
        lines.append(INTERVAL)
    return lines
