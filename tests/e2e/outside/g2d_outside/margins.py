"""A metric: the share of images that are nearer to the right prototype."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from g2d_bench.metrics.spec import MetricSpec, Predictions, Values


def _right(predictions: Predictions) -> Values:
    return np.asarray((predictions["margin"] > 0) == (predictions["shown"] > 0), np.float64)


METRICS: Mapping[str, MetricSpec] = {
    "nearest_share": MetricSpec(
        "nearest_share",
        "share of the images that are nearer to the prototype of their class",
        per_sample=_right,
    )
}
