"""Both loops: the same weights, and predictions in the order of the images."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from g2d_bench.adapters.base import Job, Outcome
from g2d_bench.adapters.mm.runner import import_quietly

# So, and not by name: whatever is imported with them finds the operators that mmdet needs.
segmentation: Any = import_quietly("g2d_bench.adapters.segmentation")
training: Any = import_quietly("g2d_bench.adapters.mm.train")


def same(first: Outcome, second: Outcome) -> None:
    for name, values in first.predictions.items():
        np.testing.assert_array_equal(values, second.predictions[name], err_msg=name)
    assert first.metrics == pytest.approx(second.metrics, nan_ok=True, abs=0)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, {}),
        ({"budget": 1}, {"validate_every": 5}),
        ({}, {"tuning": "finetune", "batchnorm": "train"}),
        # Turned and scaled images, chosen by the loss.
        ({"name": "legacy"}, {}),
    ],
)
def test_segmentation_learns_the_same(
    job_of: Callable[..., Job],
    settings: dict[str, Any],
    rule: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    first = segmentation.run(job_of(**settings, **rule))
    monkeypatch.setattr(training, "stays", lambda *_: True)
    second = segmentation.run(job_of(**settings, **rule))
    same(first, second)
    assert second.notes.pop("validation") == pytest.approx(first.notes.pop("validation"), rel=1e-6)
    assert first.notes == second.notes
    assert first.predictions["predicted"].any()


def test_predictions_are_joined_in_the_order_of_the_images() -> None:
    head = SimpleNamespace(read=lambda sample: sample["found"], join=list)
    predicted = training.Predicted(head, lambda found: {"last": found[-1]})
    for batch in ((2, 0), (1,)):
        predicted.process(None, [{"index": n, "found": 10 * n} for n in batch])
    assert predicted.evaluate(3) == {"last": 20}
    assert predicted.found == [0, 10, 20]
