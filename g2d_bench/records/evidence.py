"""Bootstrap draws of table cells, from the predictions beside the records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import REPLICATES, Values, often_undefined
from g2d_bench.metrics.spec import Predictions
from g2d_bench.records.draws import DrawCache, draw
from g2d_bench.records.recompute import differences, facts_of
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import is_of_this_code


@dataclass(frozen=True)
class Drawn:
    """Draws of one encoder's value in a column.

    Attributes:
        draws: mean over seeds per draw of patients, [R].
        sample: the test samples that were drawn from; only equal ones can be compared in pairs.
    """

    draws: Values
    sample: str


class Evidence:
    """Looks once per record whether its predictions give its metrics, and draws from them.

    Args:
        count: draws per value; with 0 there are neither intervals nor tests.
        more: metrics to compute from the predictions although the records do not state them
            (``auroc/Edema`` where they state ``auroc``).
    """

    def __init__(self, count: int = REPLICATES, *, more: Sequence[str] = ()) -> None:
        self._count = count
        self._more = tuple(more)
        self._values: dict[int, Mapping[str, float]] = {}
        self._open: tuple[int, Predictions] = (0, {})
        self._samples: dict[int, str] = {}
        self._errors: dict[int, Mapping[str, str]] = {}
        self._kept: list[Found] = []
        self._cache = DrawCache()

    @property
    def draws(self) -> bool:
        """Whether anything is drawn."""
        return self._count > 0

    def value(self, found: Found, metric: str) -> float | None:
        """Return a record's metric as a share, NaN where it is undefined, None where there is none."""
        stated = found.record.metrics
        if metric in stated:
            number = stated[metric]
            return math.nan if number is None else number
        if metric not in self._more or not self._checked(found):
            return None
        return self._point(found, metric)

    def error(self, found: Found, metric: str) -> str:
        """Say why a metric does not follow from a record's predictions, "" where it does or nobody asked."""
        if metric not in self._more or metric in found.record.metrics:
            return ""
        if not self._checked(found):
            return "its record keeps no predictions"
        return self._errors[id(found.record)].get(metric, "")

    def mean(self, seeds: Sequence[Found], metric: str) -> Drawn | None:
        """Draw the mean over seeds of one metric.

        Args:
            seeds: records of one cell but for the seed.
            metric: its name.

        Returns:
            None where a record keeps no predictions, the metric cannot be drawn or is often undefined in
            draws, or the seeds were tested on different samples.

        Raises:
            InputError: predictions were changed, or do not give the recorded metric.
        """
        parts = [self._draw(found, metric) for found in seeds]
        samples = {self._samples.get(id(found.record)) for found in seeds}
        known = [part for part in parts if part is not None]
        if len(known) < len(seeds) or len(samples) != 1:
            return None
        (sample,) = samples
        assert sample is not None
        draws = np.mean(known, axis=0)
        return None if often_undefined(draws) else Drawn(draws, sample)

    def _draw(self, found: Found, metric: str) -> Values | None:
        kept = found.record.predictions
        if not self._count or kept is None or not self._checked(found):
            return None
        point = self._point(found, metric)
        if point is None:
            return None
        return self._cache.get(
            kept.sha256,
            self._count,
            {metric: point},
            lambda name: draw(name, self.read(found), self._count),
        )[metric]

    def _checked(self, found: Found) -> bool:
        """Look once whether a record's predictions give its metrics; False where there are none to look at.

        The values are kept, since a table asks for a column at a time, and the arrays of all its records are
        too many to hold.

        Raises:
            InputError: they do not, and the code that computes them is that which measured the record.
        """
        record = found.record
        if found.path is None or record.predictions is None:
            return False
        if id(record) not in self._samples:
            self._kept.append(found)  # An id is only good as long as its object lives.
            facts = facts_of(found, (*record.metrics, *self._more))
            # A metric that is not computed here, of somebody's own adapter, stands without interval.
            values = {name: value for name, value in facts.metrics.items() if name not in record.metrics}
            stated = {name: value for name, value in facts.metrics.items() if name in record.metrics}
            moved = {metric for metric, *_ in differences(record.metrics, stated)}
            if is_of_this_code(record.signature):
                _refuse_edited(found, stated)
            self._values[id(record)] = values | {n: v for n, v in stated.items() if n not in moved}
            self._samples[id(record)] = facts.order
            self._errors[id(record)] = {
                name: facts.errors[name] for name in self._more if name in facts.errors
            }
        return True

    def read(self, found: Found) -> Predictions:
        """Read the arrays of a record; those of the last one are kept."""
        assert found.path is not None
        if self._open[0] != id(found.record):
            self._open = (id(found.record), read_predictions(found.path, found.record))
        return self._open[1]

    def _point(self, found: Found, metric: str) -> float | None:
        return self._values[id(found.record)].get(metric)


def _refuse_edited(found: Found, computed: Mapping[str, float]) -> None:
    for metric, stated, again in differences(found.record.metrics, computed):
        raise InputError(
            f"says {stated:.6g}, its predictions give {again:.6g} (off by {stated - again:+.6g}): edited, "
            "see `g2d-bench verify`",
            file=found.where,
            field=f"metrics.{metric}",
        )
