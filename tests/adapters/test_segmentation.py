"""Segmentation on a tiny release: what a record is given, and what a wrong rule is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from g2d_bench.adapters.base import Job
from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.errors import InputError
from g2d_bench.records.notes import PREDICTS_NOTHING
from g2d_bench.records.recompute import recompute

segmentation: Any = import_quietly("g2d_bench.adapters.segmentation")


@pytest.mark.slow
def test_fast_has_about_the_same_result(job_of: Callable[..., Job]) -> None:
    long = {"min_steps": 60, "max_steps": 60, "validate_every": 20}
    first, second, again = (
        segmentation.run(job_of(precision=kind, **long)) for kind in ("fp32", "fast", "fast")
    )
    assert not np.array_equal(first.predictions["mask"], second.predictions["mask"])
    assert second.metrics["dice_positive"] == pytest.approx(first.metrics["dice_positive"], abs=0.15)
    assert second.notes["precision"] == "fast"
    for name, values in second.predictions.items():
        np.testing.assert_array_equal(values, again.predictions[name], err_msg=name)


def test_the_stored_arrays_give_the_same_numbers(job_of: Callable[..., Job]) -> None:
    job = job_of()
    outcome = segmentation.run(job)
    assert tuple(outcome.metrics) == job.task.metrics
    again = {name: recompute(name, outcome.predictions) for name in job.task.metrics}
    assert again == pytest.approx(outcome.metrics, nan_ok=True, abs=0)
    assert outcome.predictions["id"].tolist() == list(job.data.test)
    predicted = np.unpackbits(outcome.predictions["mask"], axis=1).sum(axis=1)
    np.testing.assert_array_equal(predicted, outcome.predictions["predicted"])


def test_a_decoder_that_predicts_nothing_says_so(job_of: Callable[..., Job]) -> None:
    outcome = segmentation.run(job_of(threshold=0.999999))
    assert not outcome.predictions["mask"].any()
    assert outcome.notes[PREDICTS_NOTHING].startswith("predicts nothing on any of the ")
    assert "on validation (0) is no better than that of all-empty" in outcome.notes[PREDICTS_NOTHING]
    assert outcome.metrics == pytest.approx(outcome.references["all-empty"], nan_ok=True, abs=0)


def test_refusals(job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of()
    with pytest.raises(InputError, match="says nothing about segmentation"):
        segmentation.run(replace(job, protocol=job.protocol.model_copy(update={"segmentation": None})))
    with pytest.raises(InputError, match="no pre-trained decoder"):
        segmentation.run(replace(job, with_decoder=True))
    empty = {part: np.zeros_like(job.data.mask_bits(part)) for part in ("train", "val", "test")}
    monkeypatch.setattr(job.data, "mask_bits", empty.__getitem__)
    with pytest.raises(InputError, match="no validation image shows the finding"):
        segmentation.run(job)
