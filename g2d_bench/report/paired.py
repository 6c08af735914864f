"""Two encoders side by side: the difference in every column, with interval and corrected p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from g2d_bench.metrics.resample import ALPHA, LEVEL, Values, holm, interval, paired_p, two_sided
from g2d_bench.report.sampled import Sampled


@dataclass(frozen=True)
class Difference:
    """First minus second encoder in one column, turned so that above 0 the first is better.

    Attributes:
        place: of the column in the sequence that was given.
        mean: of the difference, on the scale of the column.
        low: lower limit of the 95 % interval over patients and seeds.
        high: upper limit.
        p: two-sided, as it is.
        adjusted: corrected for all columns of the pair (Holm).
    """

    place: int
    mean: float
    low: float
    high: float
    p: float
    adjusted: float

    @property
    def certain(self) -> bool:
        """Whether the difference is one, at 5 % for all columns of the pair together."""
        return self.adjusted <= ALPHA

    @property
    def verdict(self) -> str:
        """Who is better, in a word."""
        return ("first" if self.mean > 0 else "second") if self.certain else "not told apart"


def difference(first: Values, second: Values) -> tuple[float, float, float]:
    """Return limits of the 95 % interval of a paired difference, and its p.

    Args:
        first: draws [R].
        second: draws on the same patients and seeds; of columns with unlike numbers the first are used.
    """
    count = min(len(first), len(second))
    low, high = interval(first[:count] - second[:count])
    return low, high, paired_p(first[:count], second[:count])


def differences(first: Values, others: Sequence[Values]) -> list[tuple[float, float, float]]:
    """Return what :func:`difference` says of one encoder and each of several others, all at once.

    Args:
        first: draws [R].
        others: draws of each, likewise.
    """
    if len({len(first), *map(len, others)}) > 1 or len(first) < 2 or not len(others):
        return [difference(first, other) for other in others]
    table = first - np.asarray(others)
    if np.isnan(table).any():
        return [difference(first, other) for other in others]
    p = two_sided(table)
    low, high = np.quantile(table, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1, overwrite_input=True)
    return list(zip(low.tolist(), high.tolist(), p.tolist(), strict=True))


def compare_pair(columns: Sequence[Sampled], first: str, second: str) -> list[Difference]:
    """Compare two encoders wherever both have a number on the same test images.

    Args:
        columns: those that stand together: one protocol, one kind of data.
        first: encoder name.
        second: encoder name.
    """
    return _all_pairs(columns, (first, second)).get((first, second), [])


def compare_all(columns: Sequence[Sampled]) -> dict[tuple[str, str], list[Difference]]:
    """Compare every two encoders; pairs that share no column are left out."""
    return _all_pairs(columns, tuple(dict.fromkeys(name for one in columns for name in one.values)))


def _all_pairs(columns: Sequence[Sampled], names: Sequence[str]) -> dict[tuple[str, str], list[Difference]]:
    found: dict[tuple[str, str], list[tuple[int, float, float, float, float]]] = {}
    for n, one in enumerate(columns):
        drawn = [name for name in names if name in one.draws] if one.ranked else []
        draws = [one.sign * one.draws[name] for name in drawn]
        for k, first in enumerate(drawn):
            limits = differences(draws[k], draws[k + 1 :])
            for second, (low, high, p) in zip(drawn[k + 1 :], limits, strict=True):
                if not math.isnan(low):
                    mean = one.sign * (one.values[first].mean - one.values[second].mean)
                    found.setdefault((first, second), []).append((n, mean, low, high, p))
    return {pair: _corrected(found[pair]) for pair in combinations(names, 2) if pair in found}


def _corrected(rows: Sequence[tuple[int, float, float, float, float]]) -> list[Difference]:
    adjusted = holm([p for *_, p in rows])
    return [Difference(*row, corrected) for row, corrected in zip(rows, adjusted, strict=True)]
