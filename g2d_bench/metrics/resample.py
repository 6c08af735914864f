"""How sure a number is: patients drawn again, encoders compared on the same draws, and corrected for it.

Images of one patient resemble each other, so whole patients are drawn, never images (cluster bootstrap;
Field and Welsh, J. R. Stat. Soc. B 2007). Two encoders are compared on the same drawn patients (paired
bootstrap; Koehn, EMNLP 2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = NDArray[np.float32]

REPLICATES = 2000
"""Draws of an interval; the limits of a 95 % interval then rest on 50 draws each."""
LEVEL = 0.95
ALPHA = 0.05
UNDEFINED = 0.01
"""Share of draws that may be NaN."""
TAIL = 20
"""Degrees of freedom of the tail of differences, where there are no draws."""
LEAST = 1e-6
"""The smallest p: farther out nothing is known of a tail."""
CHUNK = 1 << 17
"""Weights per block of a general statistic: 1 MiB, which stays in the processor's cache."""


@lru_cache(maxsize=4)
def patient_weights(patients: int, replicates: int = REPLICATES, seed: int = 0) -> Weights:
    """Draw patients with replacement.

    The draws depend on the arguments only: any two encoders on the same patients see the same draws.

    Args:
        patients: how many there are.
        replicates: how many draws.
        seed: of the draws.

    Returns:
        How often each patient was drawn, [replicates, patients]; each row adds up to ``patients``.
    """
    rng = np.random.default_rng([seed, patients])
    # Whole numbers up to 2^24 are exact in float32, and a large test set needs half the memory.
    drawn = np.empty((replicates, patients), np.float32)
    for row in drawn:
        row[:] = np.bincount(rng.integers(0, patients, patients), minlength=patients)
    drawn.setflags(write=False)
    return drawn


def clusters(patients: Sequence[str] | NDArray[np.str_]) -> tuple[NDArray[np.intp], int]:
    """Number patients in the order of their names.

    Returns:
        The patient's number per sample [N], and how many patients there are.
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    return index, len(names)


def ratio_replicates(
    numerator: Values,
    denominator: Values,
    patients: Sequence[str] | NDArray[np.str_],
    replicates: int = REPLICATES,
) -> Values:
    """Bootstrap a ratio of sums over samples, such as a mean (numerator: values, denominator: ones).

    Args:
        numerator: per sample, [N].
        denominator: per sample, [N]; 0 where the sample does not count.
        patients: patient per sample, [N].
        replicates: how many draws.

    Returns:
        The ratio per draw, [replicates]; NaN where no drawn sample counts.
    """
    index, count = clusters(patients)
    weights = patient_weights(count, replicates)
    per_patient = np.stack([np.bincount(index, part, count) for part in (numerator, denominator)], axis=1)
    step = max(1, CHUNK // count)
    top, bottom = np.concatenate([weights[n : n + step] @ per_patient for n in range(0, replicates, step)]).T
    return np.asarray(np.divide(top, bottom, out=np.full(replicates, np.nan), where=bottom > 0), np.float64)


def mean_replicates(
    values: Values, patients: Sequence[str] | NDArray[np.str_], replicates: int = REPLICATES
) -> Values:
    """Bootstrap the mean of values per sample by patient; NaN marks a sample that does not count.

    Args:
        values: per sample, [N].
        patients: patient per sample, [N].
        replicates: how many draws.

    Returns:
        The mean per draw, [replicates].
    """
    known = ~np.isnan(values)
    return ratio_replicates(np.where(known, values, 0.0), known.astype(np.float64), patients, replicates)


def general_replicates(
    statistic: Callable[[Values], Values],
    patients: Sequence[str] | NDArray[np.str_],
    replicates: int = REPLICATES,
    rows: NDArray[np.intp] | None = None,
) -> Values:
    """Bootstrap any statistic that takes weights.

    Args:
        statistic: takes weights per sample [R, N] and returns [R].
        patients: patient per sample, [N].
        replicates: how many draws.
        rows: samples that the statistic takes weights of, [n]; all patients are drawn nevertheless.

    Returns:
        The statistic per draw, [replicates].
    """
    index, count = clusters(patients)
    index = index if rows is None else index[rows]
    weights = patient_weights(count, replicates)
    step = max(1, CHUNK // max(1, len(index)))
    blocks = (weights[n : n + step, index].astype(np.float64) for n in range(0, replicates, step))
    return np.concatenate([statistic(block) for block in blocks])


def often_undefined(draws: Values) -> bool:
    """Say whether more draws are NaN than :data:`UNDEFINED`, so that the others stand for nothing."""
    return bool(np.count_nonzero(np.isnan(draws)) > UNDEFINED * len(draws))


def interval(draws: Values, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws (Efron, Ann. Stat. 1979).

    NaN draws are left out, and where they are more than :data:`UNDEFINED` there is no interval: a metric that
    needs a positive patient and has fewer than five is undefined in one draw of a hundred or more.

    Its bounds are ``np.quantile``'s, which looks at its arguments for longer than it takes to find them; a
    page of many records has intervals by the ten thousand.
    """
    known = draws[~np.isnan(draws)]
    last = len(known) - 1
    if last < 1 or often_undefined(draws):
        return math.nan, math.nan
    places = [last * (1 - level) / 2, last * (1 + level) / 2]
    below = [min(int(place), last - 1) for place in places]
    known.partition([at for low in below for at in (low, low + 1)])
    low, high = (
        _between(float(known[at]), float(known[at + 1]), place - at)
        for at, place in zip(below, places, strict=True)
    )
    return low, high


def _between(first: float, second: float, way: float) -> float:
    """Return what lies between two numbers, from the nearer one, so that either end is met exactly."""
    step = second - first
    return first + step * way if way < 0.5 else second - step * (1 - way)


def deviation(draws: Values) -> float:
    """Return the standard deviation of bootstrap draws; NaN where :func:`interval` gives none."""
    known = draws[~np.isnan(draws)]
    return float(np.std(known, ddof=1)) if len(known) > 1 and not often_undefined(draws) else math.nan


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation (n - 1); the latter is NaN for one value."""
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return math.nan, math.nan
    return float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan


def paired_p(first: Values, second: Values) -> float:
    """Two-sided p of a difference between two statistics on the same draws.

    Args:
        first: draws of one encoder, [R].
        second: draws of the other, in the same order.

    Returns:
        p in (0, 1], as :func:`two_sided` finds it; NaN, for nothing can be tested, where more draws are NaN
        than :data:`UNDEFINED`.
    """
    difference = first - second
    if often_undefined(difference):
        return math.nan
    return float(two_sided(difference[None, ~np.isnan(difference)])[0])


def two_sided(differences: Values) -> Values:
    """Two-sided p of each of several differences.

    Twice the smaller share of draws in which a difference lies on either side of zero, a draw without
    difference counting for both, with one added above and below so that p is never 0 (Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 4.2).

    Where all draws lie on one side this says no more than that p is at most 2 / (R + 1), which no correction
    for more than some tens of comparisons survives. There p is, if that is less, that of the mean of the
    draws over their standard deviation, or over their root mean square distance from the mean on the side of
    zero if that is larger, in Student's t distribution of :data:`TAIL` degrees of freedom, whose tails are
    heavier than those of means of skewed and sparse differences; :data:`LEAST` at least.

    Args:
        differences: draws without NaN, [K, R].

    Returns:
        p in (0, 1], [K]; 1.0 where there are no draws.
    """
    count = differences.shape[1]
    fewer = np.minimum((differences <= 0).sum(axis=1), (differences >= 0).sum(axis=1))
    p = np.minimum(1.0, 2 * (fewer + 1) / (count + 1))
    if count > 1 and len(sure := np.flatnonzero(fewer == 0)):
        p[sure] = np.minimum(p[sure], _beyond(np.abs(differences[sure])))
    return np.asarray(p, np.float64)


def _beyond(distances: Values) -> Values:
    """Two-sided p of differences of which all draws are above zero, [K, R], by their mean and spread."""
    from scipy.special import stdtr

    mean = distances.mean(axis=1)
    off = distances - mean[:, None]
    variance = np.einsum("kr,kr->k", off, off) / (distances.shape[1] - 1)
    nearer = np.count_nonzero(off < 0, axis=1)
    np.minimum(off, 0, out=off)
    on_that_side = np.einsum("kr,kr->k", off, off) / np.maximum(nearer, 1)
    spread = np.sqrt(np.maximum(variance, on_that_side))
    # One patient, or a difference that is the same for all: nothing is known of its spread.
    known = spread > 1e-12 * mean
    ratio = np.divide(mean, spread, out=np.zeros(len(mean)), where=known)
    return np.asarray(np.maximum(LEAST, 2 * stdtr(TAIL, -ratio)), np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values of several comparisons (Holm, Scand. J. Stat. 1979).

    Returns:
        Adjusted p values in the order given, each at most 1.
    """
    order = np.argsort(p, kind="stable")
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[n]))
        adjusted[n] = largest
    return adjusted


@dataclass(frozen=True)
class Candidate:
    """One row of a column.

    Attributes:
        point: its value, unrounded.
        draws: its bootstrap draws, [R].
    """

    point: float
    draws: Values


def best_set(
    rows: Mapping[str, Candidate], *, higher_is_better: bool = True, alpha: float = ALPHA
) -> frozenset[str]:
    """Find the rows that are not significantly worse than the best one.

    Args:
        rows: name to value and draws; all draws on the same patients.
        higher_is_better: the direction of the metric.
        alpha: the level of the whole family of comparisons with the best.

    Returns:
        Their names; empty where :func:`against_best` compares nothing.
    """
    p = against_best(rows, higher_is_better=higher_is_better)
    return frozenset(name for name, value in p.items() if value is None or value > alpha)


def against_best(rows: Mapping[str, Candidate], *, higher_is_better: bool = True) -> dict[str, float | None]:
    """Compare every row with the best one.

    Args:
        rows: name to value and draws; all draws on the same patients.
        higher_is_better: the direction of the metric.

    Returns:
        Two-sided p of the paired difference to the best row, corrected by Holm; None for the best and for
        what equals it. Empty with fewer than two rows that have a value, and where one of them cannot be
        tested against the best: who is not worse than it is then not known.
    """
    known = {name: row for name, row in rows.items() if not math.isnan(row.point)}
    if len(known) < 2:
        return {}
    sign = 1.0 if higher_is_better else -1.0
    top = max(row.point * sign for row in known.values())
    best = next(name for name, row in known.items() if row.point * sign == top)
    others = [name for name in known if name != best]
    p = [paired_p(known[best].draws, known[name].draws) for name in others]
    if any(math.isnan(one) for one in p):
        return {}
    corrected = dict(zip(others, holm(p), strict=True))
    return {name: None if known[name].point * sign == top else corrected[name] for name in known}


@dataclass(frozen=True)
class Rank:
    """A place in a column, 1 the best, with the interval of the places that the draws give."""

    rank: int
    low: int
    high: int


def rank_intervals(
    rows: Mapping[str, Candidate], *, higher_is_better: bool = True, level: float = LEVEL
) -> dict[str, Rank]:
    """Rank the rows of a column, and say how far the test patients let each rank vary.

    A row's rank is one more than the number of rows that are better, so equal rows share the better place.

    Args:
        rows: name to value and draws; all draws on the same patients.
        higher_is_better: the direction of the metric.
        level: of the percentile interval. Draws in which a row is undefined are left out; where these are
            more than :data:`UNDEFINED`, any place is possible.

    Returns:
        Per name, in the order given; rows without a value are left out.
    """
    known = {name: row for name, row in rows.items() if not math.isnan(row.point)}
    if not known:
        return {}
    sign = 1.0 if higher_is_better else -1.0

    def places(values: Values) -> NDArray[np.int64]:
        return np.asarray(1 + (values[:, None] < values[None]).sum(axis=1), np.int64)

    points = places(sign * np.array([row.point for row in known.values()]))
    draws = sign * np.stack([row.draws for row in known.values()])
    whole = draws[:, ~np.isnan(draws).any(axis=0)]
    if whole.shape[1] and whole.shape[1] >= (1 - UNDEFINED) * draws.shape[1]:
        drawn = places(whole)
        limits = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1, method="inverted_cdf")
    else:
        limits = np.stack([np.ones(len(known)), np.full(len(known), len(known))])
    return {
        name: Rank(int(rank), int(low), int(high))
        for name, rank, low, high in zip(known, points, *limits, strict=True)
    }
