"""What the records of kinds with a score per image and label say, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.arrays import Rule
from g2d_bench.cards.kind import Reduced
from g2d_bench.metrics.classification import prevalence
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.compact_scores import reduce_scores
from g2d_bench.records.recompute import recompute

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData

Arrays = dict[str, NDArray[Any]]
Predictions = Mapping[str, NDArray[Any]]

ARRAYS = {
    "scores": Rule("f", ("N", "C"), -1e30, 1e30),
    "targets": Rule("biuf", ("N", "C"), 0, 1, nan=True),
    "label": Rule("U", ("C",)),
    "thresholds": Rule("f", ("C",), -1e30, 1e30, nan=True),
}
PROBABILITIES = {**ARRAYS, "scores": Rule("f", ("N", "C"), 0, 1)}
"""The same where scores are probabilities, so that there are metrics of calibration."""
TRUTH = ("targets", "label")
ORDER_ONLY = ("auroc", "auprc", "f1_legacy", "accuracy_legacy")
"""Metrics that know nothing of scores but their order: of a predictor that says the same of every image they
are known without its training set."""
REDUCED = Reduced(lambda predictions, _: reduce_scores(predictions), "scores", "last digits of the scores")


def expected(data: TaskData) -> tuple[Sequence[str], Arrays]:
    """Return ids and truth of the test images."""
    return data.test, {"targets": data.targets(data.test), "label": np.array(data.task.labels)}


def shown(predictions: Predictions) -> NDArray[np.bool_]:
    """Say which images show a label, [N]."""
    return np.asarray((predictions["targets"] == 1).any(axis=1))


def blind(predictions: Predictions, names: Sequence[str]) -> list[tuple[str, Predictions, list[str]]]:
    """Return the predictor that says the same of all images, as far as its order tells."""
    if not {"targets", "scores"} <= set(predictions):
        return []
    labels = predictions["targets"].shape[1]
    known = [name for name in names if name.split(PER_LABEL)[0] in ORDER_ONLY]
    return [("prevalence", prevalence(np.full((1, labels), 0.5), dict(predictions)), known)]


def noted(predictions: Predictions) -> dict[str, Any]:
    """Return what a record notes of its predictions: the threshold of each label, None where undefined."""
    if not {"thresholds", "label"} <= set(predictions):
        return {}
    labels, values = predictions["label"].tolist(), predictions["thresholds"].tolist()
    return {
        "thresholds": {
            label: None if np.isnan(value) else float(value)
            for label, value in zip(labels, values, strict=True)
        }
    }


def learned(data: TaskData, train: Sequence[str], arrays: Arrays, names: Sequence[str]) -> dict[str, float]:
    """Return the metrics of the prevalences among training images."""
    found = prevalence(data.targets(tuple(train)), {**arrays, "scores": arrays["targets"]})
    return {name: recompute(name, found) for name in names}
