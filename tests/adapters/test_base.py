"""What an encoder lacks is a finding, wherever it comes to light."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from g2d_bench.adapters.base import Job, NotApplicable, Outcome, lacking, run_jobs, settled
from g2d_bench.cards.kind import KINDS, Kind
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.heads.base import Heads
from g2d_bench.encoders.load import Encoder, load_encoder


@pytest.fixture
def encoder() -> Encoder:
    return load_encoder(Bench(Settings()).catalogue.encoders["convirt"])


def test_what_encoders_give(encoder: Encoder) -> None:
    assert encoder.gives == {"vector", "maps", "text", "cells"}
    assert all(not lacking(KINDS[name], encoder) for name in KINDS)
    assert isinstance(encoder.heads, Heads)
    encoder.heads.has_cells = False
    assert encoder.gives == {"vector", "maps", "text"}
    assert lacking(KINDS["phrase"], encoder).startswith("gives no cells of an image")
    assert lacking(KINDS["zero-shot"], encoder) == ""
    encoder.image.channels = ()
    assert lacking(KINDS["detection"], encoder) == "gives no feature maps"
    encoder.text = None
    assert encoder.gives == {"vector"}
    assert lacking(KINDS["phrase"], encoder) == "no text encoder in the weights that were read"


def test_all_members_of_an_ensemble_compute_in_the_precision_of_the_protocol(encoder: Encoder) -> None:
    encoder.others = (replace(encoder), replace(encoder))
    seen: list[list[str]] = []

    @settled
    def run(jobs: Sequence[Job]) -> list[Outcome]:
        seen.extend([one.precision for one in (job.encoder, *job.encoder.others)] for job in jobs)
        return [Outcome({}, {}, {}) for _ in jobs]

    for name, precision in (("clean", "fp32"), ("clean+fast", "fast"), ("clean", "fp32")):
        protocol = Bench(Settings()).catalogue.protocols[name]
        (outcome,) = run([Job(cast(Any, None), protocol, cast(Any, None), encoder, 0, False, 0)])
        assert seen.pop() == [precision] * 3
        assert outcome.notes.get("precision", "fp32") == precision


def test_a_finding_among_cells_that_run_together(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three cells does not apply: the others have their numbers."""
    asked: list[int] = []

    def run(job: Job) -> Outcome:
        asked.append(job.seed)
        if job.seed == 1:
            raise NotApplicable("seed 1 has none")
        return Outcome({"auroc": 0.5}, {}, {})

    def run_many(jobs: Sequence[Job]) -> list[Outcome]:
        return [run(job) for job in jobs]

    kind: Kind = replace(KINDS["classification"], run=run, run_many=run_many)
    monkeypatch.setitem(KINDS._found, "classification", kind)
    task = Bench(Settings()).catalogue.tasks["rsna-cls"].model_copy(update={"metrics": ("auroc",)})
    make: Callable[..., Job] = lambda seed: Job(  # noqa: E731
        task, cast(Any, None), cast(Any, None), encoder, seed, False, 0
    )
    outcomes = run_jobs([make(seed) for seed in range(3)])
    assert [outcome.notes for outcome in outcomes] == [{}, {"n/a": "seed 1 has none"}, {}]
    assert [outcome.metrics["auroc"] for outcome in (outcomes[0], outcomes[2])] == [0.5, 0.5]
    assert math.isnan(outcomes[1].metrics["auroc"])
    assert asked == [0, 1, 0, 1, 2]
