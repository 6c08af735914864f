"""How the ranks of a column change when records are added to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import Candidate, Rank, rank_intervals
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import Found

Place = tuple[str, tuple[float, int], str, str]
"""Task, fraction and shots, protocol and signature: a column."""


@dataclass(frozen=True)
class Standing:
    """An encoder in a column.

    Attributes:
        place: the column.
        metric: by which it is ranked.
        encoder: its name.
        value: mean over seeds, in percent where the metric is a share.
        before: its rank without what is added; None where it had none.
        after: its rank with it; None where it has none, because it lacks seeds or an interval.
        of: how many are ranked afterwards.
    """

    place: Place
    metric: str
    encoder: str
    value: float
    before: Rank | None
    after: Rank | None
    of: int


def place_of(found: Found) -> Place:
    """Return the column of a record."""
    cell = found.cell
    return cell.task, cell.drawn, cell.protocol, found.record.signature


def standings(base: Sequence[Found], added: Sequence[Found], catalogue: Catalogue) -> list[Standing]:
    """Rank every column to which records are added, without and with them.

    Ranks are by the main metric; an interval is of the ranks that bootstrap draws of the test patients give.

    Args:
        base: the records that are there.
        added: the new ones; one of a cell that is there takes its place.
        catalogue: the cards, which name the main metrics.
    """
    columns: dict[Place, list[Found]] = defaultdict(list)
    for one in added:
        columns[place_of(one)].append(one)
    there: dict[Place, list[Found]] = defaultdict(list)
    for one in base:
        there[place_of(one)].append(one)
    evidence, made = Evidence(), []
    for place, new in sorted(columns.items()):
        metric = main_metric(new[0], catalogue)
        if metric_spec(metric).published or new[0].record.published:
            continue  # Nothing is ranked there.
        replaced = {one.cell for one in new}
        old = there[place]
        before = _ranked(old, metric, evidence)
        rows = _rows([*(one for one in old if one.cell not in replaced), *new])
        after = _ranked([one for row in rows.values() for one in row], metric, evidence)
        fresh = {one.cell.encoder for one in new}
        for name, row in rows.items():
            rank, was = after.get(name), before.get(name)
            if name in fresh or (rank is not None and was is not None and rank.rank != was.rank):
                made.append(Standing(place, metric, name, _mean(row, metric), was, rank, len(after)))
    return made


def main_metric(found: Found, catalogue: Catalogue) -> str:
    """Return the metric by which a record's task is ranked; the record's first where there is no card."""
    cell = found.cell
    if cell.task in catalogue.tasks.names and cell.protocol in catalogue.protocols.names:
        main = catalogue.protocols[cell.protocol].view(catalogue.tasks[cell.task]).main
        if main in found.record.metrics:
            return main
    return next(iter(found.record.metrics))


def _rows(records: Sequence[Found]) -> dict[str, list[Found]]:
    rows: dict[str, list[Found]] = defaultdict(list)
    for one in sorted(records, key=lambda one: (one.cell.encoder, one.cell.seed)):
        rows[one.cell.encoder].append(one)
    return dict(rows)


def _ranked(records: Sequence[Found], metric: str, evidence: Evidence) -> Mapping[str, Rank]:
    """Rank the rows that have every seed of the column, and draws on the test set of most of them."""
    rows = _rows(records)
    seeds = {one.cell.seed for one in records}
    drawn = {
        name: evidence.mean(row, metric)
        for name, row in rows.items()
        if {one.cell.seed for one in row} == seeds and not np.isnan(_mean(row, metric))
    }
    known = {name: one for name, one in drawn.items() if one is not None}
    samples = [one.sample for one in known.values()]
    common = max(samples, key=samples.count, default="")
    return rank_intervals(
        {
            name: Candidate(_mean(rows[name], metric), one.draws)
            for name, one in known.items()
            if one.sample == common
        },
        higher_is_better=metric_spec(metric).higher_is_better,
    )


def _mean(row: Sequence[Found], metric: str) -> float:
    values = [one.record.metrics.get(metric) for one in row]
    scale = 100.0 if metric_spec(metric).share else 1.0
    return scale * float(np.mean([np.nan if value is None else value for value in values]))
