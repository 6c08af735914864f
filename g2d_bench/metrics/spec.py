"""What a metric's name means; every convention has its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError, did_you_mean

PER_LABEL = "/"
"""Stands between a metric and one label: ``auroc/Pneumonia``."""

Predictions = Mapping[str, NDArray[Any]]
"""Stored arrays of one cell: ``id`` and ``patient`` [N], and what each family's module lists."""

Values = NDArray[np.float64]

Statistic = Callable[[Values], Values]
"""Weights [R, N] (how often each sample counts in each of R resamplings) to the metric's R values."""


@dataclass(frozen=True)
class MetricSpec:
    """A named convention.

    Attributes:
        name: as in cards, records and tables.
        description: the convention in one sentence.
        higher_is_better: the direction.
        share: whether the value is a share, shown in percent.
        bounds: smallest and largest possible value.
        per_sample: from predictions to values [N], NaN where a sample does not count, for metrics that
            are the (weighted) mean of the others; None for all other metrics.
        prepared: from predictions to the weighted metric, for those that are no mean over samples; None
            where resampling has no meaning.
        by_label: whether :data:`PER_LABEL` may follow the name.
        reads: arrays of the predictions without which it has no value, beside ``id``; cards of tasks whose
            records lack one are refused. Empty where nobody says.
        inflated: whether resampling makes it larger, and so do fewer samples, as any mean of distances
            between rates: its draws lie above its value, so that they give neither interval nor test, and
            groups of unlike sizes are not compared by it.
        published: whether it repeats a defect of published work: shown beside quoted numbers, and nothing is
            ranked by it.
        of_probabilities: whether ``scores`` must be probabilities, which their range alone does not tell;
            cards of tasks whose scores are none are refused.
        of_rows: from predictions and row numbers [n] to the predictions of these samples alone, on which the
            metric is that of weights of zero on all others; None where that gains nothing or does not hold.
    """

    name: str
    description: str
    higher_is_better: bool = True
    share: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    per_sample: Callable[[Predictions], Values] | None = None
    prepared: Callable[[Predictions], Statistic] | None = None
    by_label: bool = False
    reads: tuple[str, ...] = ()
    inflated: bool = False
    published: bool = False
    of_probabilities: bool = False
    of_rows: Callable[[Predictions, NDArray[np.intp]], Predictions] | None = None

    @property
    def resamples(self) -> bool:
        """Whether the metric has a value for weighted samples, thus a bootstrap interval."""
        return self.per_sample is not None or self.prepared is not None

    def statistic(self, predictions: Predictions) -> Statistic:
        """Do once what all resamplings share (sorting, matching), and return the weighted metric.

        Raises:
            InputError: the metric depends on the order of samples, so that resampling has no meaning.
        """
        if self.per_sample is not None:
            return weighted_mean(self.per_sample(predictions))
        if self.prepared is None:
            raise InputError(f"metric {self.name} depends on the order of the samples and has no interval")
        return self.prepared(predictions)

    def __call__(self, predictions: Predictions) -> float:
        """Return the metric of the samples as they are."""
        size = len(predictions["id"])
        return float(self.statistic(predictions)(np.ones((1, size)))[0])

    def of_label(self, label: str) -> MetricSpec:
        """Return the same metric of one label alone, named for example ``auroc/Pneumonia``.

        Of a mean over samples with a ``category`` each, it is the mean over those of that category.
        """
        name, description = f"{self.name}{PER_LABEL}{label}", f"{self.description}; {label} alone"
        if (values := self.per_sample) is not None:
            return replace(
                self,
                name=name,
                description=description,
                per_sample=lambda predictions: np.where(
                    predictions["category"] == label, values(predictions), np.nan
                ),
                by_label=False,
            )

        def one(predictions: Predictions) -> Predictions:
            names = [str(name) for name in predictions["label"]]
            if label not in names:
                raise InputError(f"no label {label!r}; {did_you_mean(label, names)}", field="label")
            k = names.index(label)
            columns = {name: predictions[name][:, k : k + 1] for name in ("scores", "targets")}
            if "thresholds" in predictions:
                columns["thresholds"] = predictions["thresholds"][k : k + 1]
            return {**predictions, **columns, "label": predictions["label"][k : k + 1]}

        return replace(
            self,
            name=name,
            description=description,
            prepared=lambda predictions: self.statistic(one(predictions)),
            by_label=False,
        )


def weighted_mean(values: Values) -> Statistic:
    """Return the weighted mean of the values that are not NaN; NaN where their weights add up to zero."""
    known = ~np.isnan(values)
    table = np.stack([np.where(known, values, 0.0), known.astype(np.float64)], axis=1)
    return weighted_sums(table, lambda sums: ratio(sums[:, 0], sums[:, 1]))


def weighted_sums(table: Values, finish: Callable[[Values], Values]) -> Statistic:
    """Return a metric that is a function of sums over samples.

    Args:
        table: [N, K], what each sample adds.
        finish: sums [R, K] to values [R].
    """
    return lambda weights: finish(np.asarray(weights @ table, np.float64))


def mean_of(parts: Sequence[Statistic]) -> Statistic:
    """Return the unweighted mean of statistics; NaN where one of them is undefined."""
    return lambda weights: np.asarray(np.mean([part(weights) for part in parts], axis=0), np.float64)


def ratio(above: Values, below: Values) -> Values:
    """Divide; NaN where the divisor is zero."""
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0), np.float64)
