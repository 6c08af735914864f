"""Which encoder is best at a kind of task, and how far that is certain.

Encoders are ordered by the mean over tasks of the main metric where all tasks have the same one, by the mean
rank where they have not. A rank is what the draws allow (:func:`g2d_bench.metrics.resample.rank_intervals`).
Equals are drawn as equals: the first cluster is the best encoder and all that are not significantly worse
(paired bootstrap, Holm), the second is made of the others in the same way, and so on. Two encoders of
different clusters may still not be told apart; their intervals say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from g2d_bench.cards.kind import KINDS, untrained
from g2d_bench.cards.pretraining import Sight, most
from g2d_bench.metrics.resample import Candidate, Values, best_set, interval, rank_intervals
from g2d_bench.report.marks import caveats
from g2d_bench.report.model import SEEN
from g2d_bench.report.reasons import listed
from g2d_bench.report.sampled import Sampled

TOGETHER: Mapping[str, tuple[str, ...]] = {"localisation": ("segmentation", "detection")}
"""Kinds of tasks that are asked for together, by what they are called then."""
EVERYTHING = "all that is trained"
"""Name of the group of all kinds that train on labels."""


@dataclass(frozen=True)
class Place:
    """An encoder's place in a group.

    Attributes:
        encoder: its name.
        rank: 1 is best; equals share the better one.
        low: best rank that the draws allow (95 %).
        high: worst rank.
        cluster: 0 for the first cluster of equals; None where nothing was tested.
        mean: over tasks, of the main metric; NaN where tasks have different ones.
        mean_low: lower limit of its 95 % interval over patients and seeds, or NaN.
        mean_high: upper limit.
        mean_rank: over tasks.
    """

    encoder: str
    rank: int
    low: int
    high: int
    cluster: int | None
    mean: float
    mean_low: float
    mean_high: float
    mean_rank: float


@dataclass(frozen=True)
class Group:
    """Tasks over which encoders are ranked together.

    Attributes:
        name: a kind of task, or of several.
        heading: for readers.
        kinds: of the tasks.
        protocol: protocol name.
        data: ``phantom`` or ``real``.
        fraction: share of the labels; 1 for kinds without training.
        trained: whether the fraction means anything.
        columns: the tasks.
        metric: the main metric of all tasks, "" where they have different ones.
        places: encoders that have every number, best first.
        missing: the other encoders, with what is missing.
        tested: whether ranks have intervals.
    """

    name: str
    heading: str
    kinds: tuple[str, ...]
    protocol: str
    data: str
    fraction: float
    trained: bool
    columns: tuple[Sampled, ...]
    metric: str
    places: tuple[Place, ...]
    missing: Mapping[str, str]
    tested: bool

    @property
    def share(self) -> str:
        """The fraction in words."""
        return self.columns[0].share

    @property
    def where(self) -> str:
        """Tasks and fraction in words."""
        return f"{self.heading} at {self.share}" if self.trained else self.heading

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(one.column.task for one in self.columns)

    @cached_property
    def caveats(self) -> list[str]:
        """What must be said of the numbers, but for the kind of data and the scale of encoders."""
        return caveats([found for one in self.columns for found in one.records_of(one.values)], scale=False)

    def sight(self, encoder: str) -> Sight:
        """What the pre-training of an encoder saw of the data sets of the group, at most."""
        return most(one.values[encoder].sight for one in self.columns if encoder in one.values)

    def shown(self, encoder: str) -> str:
        """Write an encoder's name with the mark of :data:`~g2d_bench.report.model.SEEN`."""
        return encoder + SEEN[self.sight(encoder)]

    @property
    def answer(self) -> str:
        """Say in a sentence who is best and whether that is certain."""
        if not self.places:
            return "No encoder has every number of this group, so none is ranked."
        first = self.shown(self.places[0].encoder)
        if len(self.places) == 1:
            return f"Only {first} has every number; there is nothing to rank it against."
        if not self.tested:
            return f"{first} has the best numbers; no test says how certain that is."
        best = [self.shown(place.encoder) for place in self.places if place.cluster == 0]
        if len(best) == 1:
            return f"{first} is best, with certainty."
        if len(best) == len(self.places):
            return f"{first} has the best numbers, but every other encoder may be as good."
        return f"{first} has the best numbers; {listed(best[1:])} may be as good."


def groups(columns: Sequence[Sampled]) -> list[Group]:
    """Rank encoders within every kind of task, at every fraction, under every protocol.

    Args:
        columns: one per task, fraction, protocol and kind of data.

    Returns:
        In the order of kinds, those that are asked for together first; groups of one column are made too.
    """
    made: list[Group] = []
    by_place: dict[tuple[str, str], list[Sampled]] = {}
    for one in columns:
        if one.ranked:
            by_place.setdefault((one.column.protocol, one.data), []).append(one)
    for (protocol, data), mine in sorted(by_place.items()):
        kinds = sorted({one.kind for one in mine}, key=_order)
        trained = tuple(kind for kind in kinds if not untrained(kind))
        wanted: list[tuple[str, str, tuple[str, ...]]] = []
        if len(trained) > 1:
            wanted.append((EVERYTHING, EVERYTHING, trained))
        wanted += [
            (name, f"{name} ({' and '.join(some)})", some)
            for name, some in TOGETHER.items()
            if set(some) <= set(kinds) and set(some) != set(trained)
        ]
        wanted += [(kind, KINDS[kind].heading if kind in KINDS else kind, (kind,)) for kind in kinds]
        for name, heading, some in wanted:
            parts = [one for one in mine if one.kind in some]
            for shots, fraction in sorted({(one.column.shots, one.column.fraction) for one in parts}):
                at = tuple(
                    one for one in parts if (one.column.shots, one.column.fraction) == (shots, fraction)
                )
                if {one.kind for one in at} == set(some):
                    made.append(_group(name, heading, some, protocol, data, fraction, at))
    return made


def clusters(
    names: Sequence[str], points: Mapping[str, float], draws: Mapping[str, Values]
) -> dict[str, int]:
    """Divide encoders into clusters: none in a cluster is significantly worse than the best of it.

    Args:
        names: of the encoders.
        points: their values, higher is better.
        draws: on the same patients and seeds, [R] each.

    Returns:
        Name to the number of its cluster, 0 for the best; empty where two of them cannot be tested.
    """
    found: dict[str, int] = {}
    rest = {name: Candidate(points[name], draws[name]) for name in names}
    for cluster in range(len(names)):
        best = best_set(rest) if len(rest) > 1 else frozenset(rest)
        if not best:
            return {}
        found |= dict.fromkeys(best, cluster)
        rest = {name: one for name, one in rest.items() if name not in best}
        if not rest:
            break
    return found


def _group(
    name: str,
    heading: str,
    kinds: tuple[str, ...],
    protocol: str,
    data: str,
    fraction: float,
    columns: tuple[Sampled, ...],
) -> Group:
    encoders = list(dict.fromkeys(encoder for one in columns for encoder in one.values))
    missing = {encoder: why for encoder in encoders if (why := _missing(encoder, columns))}
    complete = [encoder for encoder in encoders if encoder not in missing]
    metrics = {one.column.metric for one in columns}
    metric = next(iter(metrics)) if len(metrics) == 1 else ""
    tested = len(complete) > 1 and all(encoder in one.draws for encoder in complete for one in columns)
    points = {e: np.array([one.sign * one.values[e].mean for one in columns]) for e in complete}
    ranks = _mean_ranks({e: point[:, None] for e, point in points.items()})
    scores = {e: float(points[e].mean()) if metric else -float(ranks[e][0]) for e in complete}
    drawn = _drawn(complete, columns, metric) if tested else {}
    equal = clusters(complete, scores, drawn) if tested else {}
    tested = bool(equal)
    candidates = {e: Candidate(scores[e], drawn[e] if tested else np.array([scores[e]])) for e in complete}
    places = rank_intervals(candidates)
    order = sorted(complete, key=lambda e: (equal.get(e, 0), places[e].rank, encoders.index(e)))
    sign = columns[0].sign
    rows = []
    for encoder in order:
        low, high = (
            sorted(sign * x for x in interval(drawn[encoder])) if tested and metric else (math.nan,) * 2
        )
        place = places[encoder]
        rows.append(
            Place(
                encoder,
                place.rank,
                place.low,
                place.high,
                equal.get(encoder),
                sign * scores[encoder] if metric else math.nan,
                low,
                high,
                float(ranks[encoder][0]),
            )
        )
    fixed = all(untrained(kind) for kind in kinds)
    return Group(
        name,
        heading,
        kinds,
        protocol,
        data,
        fraction,
        not fixed,
        columns,
        metric,
        _shared(rows),
        missing,
        tested,
    )


def _shared(rows: Sequence[Place]) -> tuple[Place, ...]:
    """Give encoders of one cluster the best rank among them: equals are equals."""
    best: dict[int, int] = {}
    for row in rows:
        if row.cluster is not None:
            best[row.cluster] = min(best.get(row.cluster, row.rank), row.rank)
    made = []
    for row in rows:
        rank = row.rank if row.cluster is None else best[row.cluster]
        fields = {
            **row.__dict__,
            "rank": rank,
            "low": min(row.low, rank),
            "high": max(row.high, rank),
        }
        made.append(Place(**fields))
    return tuple(made)


def _drawn(names: Sequence[str], columns: Sequence[Sampled], metric: str) -> dict[str, Values]:
    """Return draws of the score of each encoder; columns of large test sets have fewer."""
    count = min(len(one.draws[name]) for one in columns for name in names)
    table = {
        name: np.stack([one.sign * one.draws[name][:count] for one in columns]) for name in names
    }  # [tasks, R]
    if metric:
        return {name: part.mean(axis=0) for name, part in table.items()}
    return {name: -part for name, part in _mean_ranks(table).items()}


def _mean_ranks(table: Mapping[str, Values]) -> dict[str, Values]:
    """Return the mean over tasks of the rank within a task; of equal values the mean of their ranks.

    Args:
        table: name to values [tasks, R], higher is better.
    """
    if not table:
        return {}
    values = np.stack(list(table.values()))
    better = (values[:, None] < values[None]).sum(axis=1)
    equal = (values[:, None] == values[None]).sum(axis=1) - 1
    ranks = np.where(np.isnan(values).any(axis=0), np.nan, 1 + better + equal / 2)
    return dict(zip(table, ranks.mean(axis=1), strict=True))


def _missing(encoder: str, columns: Iterable[Sampled]) -> str:
    """Say which numbers an encoder lacks in a group, and why; "" where it has all."""
    reasons: dict[str, list[str]] = {}
    for one in columns:
        value = one.values.get(encoder)
        if value is None or value.missing:
            why = "not measured" if value is None else value.reason or value.missing
            reasons.setdefault(why, []).append(one.column.task)
    return "; ".join(f"{listed(tasks)}: {why}" for why, tasks in reasons.items())


def _order(kind: str) -> tuple[int, str]:
    return (KINDS[kind].place if kind in KINDS else 10**6, kind)


def boundaries(places: Sequence[Place]) -> list[int]:
    """Return the places before which a new cluster begins."""
    return [n for n, (a, b) in enumerate(pairwise(places), 1) if a.cluster != b.cluster]
