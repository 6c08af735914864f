"""Metrics of a record, computed again from its stored predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.segmentation import segmentation_metrics
from g2d_bench.metrics.spec import Predictions
from g2d_bench.records.selection import Found

EDITED = 1e-6
"""How far a recorded metric may lie from its recomputation: rounding of a sum in another order."""


def recompute(metric: str, predictions: Predictions) -> float:
    """Compute one metric from stored predictions, NaN where it is undefined.

    Raises:
        InputError: the metric is unknown.
        KeyError: an array is missing.
    """
    spec = metric_spec(metric)
    if spec.resamples:
        return spec(predictions)
    # Metrics that depend on the order of the samples; so far segmentation has the only one.
    common, predicted, true = (
        predictions[name].astype(np.int64) for name in ("intersection", "predicted", "true")
    )
    return segmentation_metrics(common, predicted, true, names=(metric,))[metric]


def recomputed(found: Found, predictions: Predictions) -> dict[str, float]:
    """Compute the metrics that a record states again, NaN for an undefined one.

    Raises:
        InputError: a metric is unknown, or the arrays do not allow to compute it.
    """
    try:
        return {metric: recompute(metric, predictions) for metric in found.record.metrics}
    except KeyError as error:
        raise InputError(f"the array {error} is missing", file=found.where, field="predictions") from None


def differences(found: Found, computed: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return the computed metrics that the record states otherwise.

    Returns:
        Metric, recorded and computed value; NaN for an undefined one.
    """
    moved = []
    for metric, again in computed.items():
        value = found.record.metrics[metric]
        stated = math.nan if value is None else value
        if math.isnan(stated) != math.isnan(again) or abs(stated - again) > EDITED:
            moved.append((metric, stated, again))
    return moved


def refuse_edited(found: Found, computed: Mapping[str, float]) -> None:
    """Stop at a record that states other metrics than its predictions give.

    Raises:
        InputError: it does.
    """
    for metric, stated, again in differences(found, computed):
        raise InputError(
            f"says {stated:.6g}, its predictions give {again:.6g} (off by {stated - again:+.6g}): edited, "
            "see `g2d-bench verify`",
            file=found.where,
            field=f"metrics.{metric}",
        )
