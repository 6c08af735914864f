"""What an adapter is handed and gives back, and how the cells of a kind are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.cards.kind import KINDS

if TYPE_CHECKING:
    import torch

    from g2d_bench.cards.kind import Gift, Kind
    from g2d_bench.cards.protocol import Protocol
    from g2d_bench.cards.task import TaskCard
    from g2d_bench.data.task_data import TaskData
    from g2d_bench.devices import Precision
    from g2d_bench.encoders.load import Encoder


@dataclass(frozen=True)
class Outcome:
    """What one cell measured.

    Attributes:
        metrics: metric name to value, each as its convention defines it.
        references: name of a trivial predictor to its metrics on the very same test set.
        predictions: arrays whose first axis runs over the test samples, or over predictions with a
            column that names the sample; from them the metrics can be computed again.
        notes: JSON facts about the training (chosen step, validation score, ...).
    """

    metrics: dict[str, float]
    references: dict[str, dict[str, float]]
    predictions: dict[str, NDArray[Any]]
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Everything that an adapter needs, opened."""

    task: TaskCard
    protocol: Protocol
    data: TaskData
    encoder: Encoder
    seed: int
    with_decoder: bool
    """Start from the encoder's pre-trained decoder."""
    memory_budget: int
    """Bytes that cached dense features may take."""


class NotApplicable(Exception):
    """An encoder that lacks what a kind of task asks of it; its text says what ("no text encoder").

    This is a finding about the encoder, no failure: the cell gets a record without numbers.
    """


NOT_APPLICABLE = "n/a"
"""Note of a record that says why it has no numbers."""

Adapter = Callable[[Job], Outcome]
T = TypeVar("T")

KERNELS = "nondeterministic_kernels"
"""Note of a record that names kernels of a GPU whose last bits may differ in another run."""


def stays(device: torch.device, precision: Precision) -> bool:
    """Ask :func:`g2d_bench.devices.stays`, importing torch no earlier."""
    from g2d_bench.devices import stays as asked

    return asked(device, precision)


def settled(run: Callable[[Sequence[Job]], list[Outcome]]) -> Callable[[Sequence[Job]], list[Outcome]]:
    """Let an adapter find its jobs' encoders where cells are computed, in the protocol's precision.

    On a GPU it computes by deterministic kernels; what has none goes into the notes.
    """

    @wraps(run)
    def wrapped(jobs: Sequence[Job]) -> list[Outcome]:
        from g2d_bench.devices import accelerator, steady

        device, precision = accelerator(), jobs[0].protocol.precision
        for job in jobs:
            job.encoder.to(device).computing(precision)
        with steady(device, precision) as kernels:
            outcomes = run(jobs)
        more: dict[str, Any] = {KERNELS: kernels} if kernels else {}
        if precision != "fp32":
            more["precision"] = precision
        return [replace(outcome, notes=outcome.notes | more) for outcome in outcomes] if more else outcomes

    return wrapped


def settled_one(run: Adapter) -> Adapter:
    """Do for an adapter that runs one job what :func:`settled` does for several."""

    @wraps(run)
    def wrapped(job: Job) -> Outcome:
        return settled(lambda jobs: [run(jobs[0])])([job])[0]

    return wrapped


def by_encoder(jobs: Sequence[Job], run: Callable[[Sequence[Job]], Sequence[T]]) -> list[T]:
    """Run jobs in groups that share the weights of an encoder (a random one has others for every seed).

    Args:
        jobs: of one task and protocol.
        run: takes the jobs of a group, gives what comes of each.

    Returns:
        What came of each job, in the order of ``jobs``.
    """
    groups: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        groups.setdefault(job.encoder.weights_hash, []).append(place)
    done = {
        place: outcome
        for places in groups.values()
        for place, outcome in zip(places, run([jobs[place] for place in places]), strict=True)
    }
    return [done[place] for place in range(len(jobs))]


def adapter(kind: str) -> Adapter:
    """Return what measures a cell of a kind of task, with what it needs imported.

    Raises:
        InputError: no kind has this name.
    """
    found = KINDS[kind]
    for module in found.imports:
        import_quietly(module)
    return found.run


def run_jobs(jobs: Sequence[Job]) -> list[Outcome]:
    """Run cells of one task, encoder and protocol: together where their kind can do that.

    Where an encoder lacks what the kind asks of it, or an adapter raises :class:`NotApplicable`, the outcome
    has no numbers and says why.

    Raises:
        InputError: no kind has this name.
    """
    kind = KINDS[jobs[0].task.kind]
    adapter(kind.name)
    reasons = [lacking(kind, job.encoder) for job in jobs]
    done = iter(_measured(kind, [job for job, reason in zip(jobs, reasons, strict=True) if not reason]))
    return [
        _without_numbers(job, reason) if reason else next(done)
        for job, reason in zip(jobs, reasons, strict=True)
    ]


def lacking(kind: Kind, encoder: Encoder) -> str:
    """Say why an encoder cannot be asked what a kind asks; empty where it can."""
    lacks = kind.asks - encoder.gives
    if "text" in lacks:
        return no_text(encoder)
    words: dict[Gift, str] = {
        "vector": "gives no pooled vector",
        "maps": "gives no feature maps",
        "cells": "gives no cells of an image that a text could be compared with",
    }
    return "; ".join(word for gift, word in words.items() if gift in lacks)


def no_text(encoder: Encoder) -> str:
    """Say why an encoder cannot be asked with texts."""
    bare = "no text encoder" + (" in the weights that were read" if encoder.card.text else "")
    return f"{bare}: {encoder.no_text}" if encoder.no_text else bare


def _measured(kind: Kind, jobs: Sequence[Job]) -> list[Outcome]:
    if kind.run_many is not None and len(jobs) > 1:
        try:
            return kind.run_many(jobs)
        except NotApplicable:
            pass  # Which of them it is about, each says alone.
    return [_alone(kind.run, job) for job in jobs]


def _alone(run: Adapter, job: Job) -> Outcome:
    try:
        return run(job)
    except NotApplicable as reason:
        return _without_numbers(job, str(reason))


def _without_numbers(job: Job, reason: str) -> Outcome:
    return Outcome(
        metrics=dict.fromkeys(job.task.metrics, float("nan")),
        references={},
        predictions={},
        notes={NOT_APPLICABLE: reason},
    )
