"""How far two scores order the same things alike, and how sure that is: part (d) of :mod:`transfer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DRAWS = 2000
FEWEST = 4
"""Fewer things have no interval: nearly every draw of them orders them perfectly, or not at all."""


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of two scores over the same things.

    Attributes:
        count: how many things.
        spearman: correlation of ranks, equals sharing their mean rank; None where one score has no order.
        spearman_interval: 95 %, over draws of the things with replacement; None where there are too few.
        kendall: tau-b.
        kendall_interval: likewise.
    """

    count: int
    spearman: float | None
    spearman_interval: tuple[float, float] | None
    kendall: float | None
    kendall_interval: tuple[float, float] | None


def agreement(
    one: Sequence[float], other: Sequence[float], *, seed: int = 0, draws: int = DRAWS
) -> Agreement:
    """Compare two orders.

    Args:
        one: a score per thing.
        other: another score of each, in the same order of things.
        seed: of the draws.
        draws: how many.

    Returns:
        Draws in which all things are equal in one of the scores have no correlation, and do not count.

    Raises:
        ValueError: the lists differ in length.
    """
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} scores")
    count = len(first)
    if count < 2:
        return Agreement(count, None, None, None, None)
    rows = np.random.default_rng([seed, count]).integers(0, count, (draws, count))
    found: list[float | None] = []
    intervals: list[tuple[float, float] | None] = []
    for measure in (spearman, kendall):
        whole = float(measure(first[None], second[None])[0])
        found.append(None if np.isnan(whole) else whole)
        drawn = measure(first[rows], second[rows])
        drawn = drawn[~np.isnan(drawn)]
        low, high = np.percentile(drawn, [2.5, 97.5]) if drawn.size else (np.nan, np.nan)
        intervals.append((float(low), float(high)) if count >= FEWEST and drawn.size else None)
    return Agreement(count, found[0], intervals[0], found[1], intervals[1])


def spearman(one: Values, other: Values) -> Values:
    """Return the correlation of ranks of each row.

    Args:
        one: [R, N].
        other: [R, N].

    Returns:
        [R]; NaN where all of a row are equal.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=1) for values in (one, other)]
    centred = [values - values.mean(1, keepdims=True) for values in ranks]
    return _ratio((centred[0] * centred[1]).sum(1), (centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))


def kendall(one: Values, other: Values) -> Values:
    """Return tau-b of each row: pairs in the same order less those in the other, by pairs that have an order.

    Args:
        one: [R, N].
        other: [R, N].

    Returns:
        [R]; NaN where all of a row are equal.
    """
    signs = [np.sign(values[:, :, None] - values[:, None, :]) for values in (one, other)]
    counts = [(sign**2).sum((1, 2)) for sign in signs]
    return _ratio((signs[0] * signs[1]).sum((1, 2)), counts[0] * counts[1])


def _ratio(top: Values, square: Values) -> Values:
    found: Values = np.full(top.shape, np.nan)
    np.divide(top, np.sqrt(square), out=found, where=square > 1e-12)
    return found
