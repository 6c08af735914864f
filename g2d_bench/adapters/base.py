"""What an adapter gives back, and the adapter of each kind of task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cards.protocol import Protocol
    from g2d_bench.cards.task import TaskCard
    from g2d_bench.data.task_data import TaskData
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
    """Start from the encoder's pre-trained decoder (segmentation)."""
    memory_budget: int
    """Bytes that cached dense features may take."""


class NotApplicable(Exception):
    """An encoder that lacks what a kind of task asks of it; its text says what ("no text encoder").

    This is a finding about the encoder, no failure: the cell gets a record without numbers.
    """


PREDICTS_NOTHING = "predicts_nothing"
"""Note of an outcome that stayed at the empty prediction, in a clause."""
NOT_APPLICABLE = "n/a"
"""Note of a record that says why it has no numbers."""

Adapter = Callable[[Job], Outcome]

KERNELS = "nondeterministic_kernels"
"""Note of a record that names kernels of a GPU whose last bits may differ in another run."""


def settled(run: Callable[[Sequence[Job]], list[Outcome]]) -> Callable[[Sequence[Job]], list[Outcome]]:
    """Let an adapter find its jobs' encoders where cells are computed, in the protocol's precision.

    On a GPU it computes by deterministic kernels; what has none goes into the notes.
    """

    @wraps(run)
    def wrapped(jobs: Sequence[Job]) -> list[Outcome]:
        from g2d_bench.devices import accelerator, steady

        device, precision = accelerator(), jobs[0].protocol.precision
        for job in jobs:
            job.encoder.to(device).precision = precision
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


_ADAPTERS = {
    "classification": "g2d_bench.adapters.classification:run",
    "segmentation": "g2d_bench.adapters.segmentation:run",
    "detection": "g2d_bench.adapters.detection:run",
    "zero-shot": "g2d_bench.adapters.zero_shot:run",
    "grounding": "g2d_bench.adapters.grounding:run",
    "phrase": "g2d_bench.adapters.phrase:run",
}


def adapter(kind: str) -> Adapter:
    """Import the adapter of a kind of task.

    Raises:
        InputError: no adapter exists for the kind.
    """
    if kind not in _ADAPTERS:
        raise InputError(f"no adapter for kind {kind!r}", field="kind")
    module, name = _ADAPTERS[kind].split(":")
    loaded: Adapter = getattr(import_quietly(module), name)
    return loaded


def together(task: TaskCard, protocol: Protocol) -> bool:
    """Say whether the cells of a task with one encoder are cheaper together than one by one."""
    rule = protocol.classification
    return task.kind == "classification" and rule is not None and bool(rule.penalties)


def run_jobs(jobs: Sequence[Job]) -> list[Outcome]:
    """Run cells of one task, encoder and protocol: by the adapter's ``run_many`` where it has one.

    Where an adapter raises :class:`NotApplicable`, the outcome has no numbers and says why.

    Raises:
        InputError: no adapter exists for the kind.
    """
    run = adapter(jobs[0].task.kind)
    many: Callable[[Sequence[Job]], list[Outcome]] | None = getattr(
        import_quietly(run.__module__), "run_many", None
    )
    return many(jobs) if many is not None and len(jobs) > 1 else [_run_one(run, job) for job in jobs]


ASKS = {
    "segmentation": ("maps", "gives no feature maps"),
    "detection": ("maps", "gives no feature maps"),
    "grounding": ("cells", "gives no cells of an image that a text could be compared with"),
    "phrase": ("cells", "gives no cells of an image that a text could be compared with"),
}
"""What a kind asks of an encoder beside vector and texts, and what to say where that is not there."""


def _run_one(run: Adapter, job: Job) -> Outcome:
    try:
        asked, reason = ASKS.get(job.task.kind, ("vector", ""))
        gives = job.encoder.gives
        if asked not in gives and (asked == "maps" or "text" in gives):
            raise NotApplicable(reason)
        return run(job)
    except NotApplicable as reason:
        return Outcome(
            metrics=dict.fromkeys(job.task.metrics, float("nan")),
            references={},
            predictions={},
            notes={NOT_APPLICABLE: str(reason)},
        )
