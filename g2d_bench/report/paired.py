"""Two encoders side by side: the difference in every column, with interval and corrected p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from g2d_bench.metrics.resample import ALPHA, Values, holm, interval, paired_p
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


def compare_pair(columns: Sequence[Sampled], first: str, second: str) -> list[Difference]:
    """Compare two encoders wherever both have a number on the same test images.

    Args:
        columns: those that stand together: one protocol, one kind of data.
        first: encoder name.
        second: encoder name.
    """
    found: list[tuple[int, float, float, float, float]] = []
    for n, one in enumerate(columns):
        if first in one.draws and second in one.draws and one.ranked:
            mean = one.sign * (one.values[first].mean - one.values[second].mean)
            low, high, p = difference(one.sign * one.draws[first], one.sign * one.draws[second])
            if not math.isnan(low):
                found.append((n, mean, low, high, p))
    adjusted = holm([p for *_, p in found])
    return [Difference(*row, corrected) for row, corrected in zip(found, adjusted, strict=True)]


def compare_all(columns: Sequence[Sampled]) -> dict[tuple[str, str], list[Difference]]:
    """Compare every two encoders; pairs that share no column are left out."""
    names = list(dict.fromkeys(name for one in columns for name in one.values))
    pairs = {pair: compare_pair(columns, *pair) for pair in combinations(names, 2)}
    return {pair: found for pair, found in pairs.items() if found}
