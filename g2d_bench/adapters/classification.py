"""Classification: linear heads on frozen features, at their optimum or trained by steps; or all weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from g2d_bench.adapters import scores as scored
from g2d_bench.adapters.base import Job, Outcome, by_encoder, settled
from g2d_bench.adapters.stepwise import ClassificationTraining
from g2d_bench.cards.base import Card
from g2d_bench.cards.kind import Kind, Sources
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.data.legacy_splits import sample_fraction
from g2d_bench.errors import InputError
from g2d_bench.metrics.classification import choose_thresholds, prevalence
from g2d_bench.metrics.registry import measure, metric_spec
from g2d_bench.metrics.spec import PER_LABEL

if TYPE_CHECKING:
    import torch

    from g2d_bench.adapters.linear import Heads
    from g2d_bench.data.task_data import TaskData

Values = NDArray[np.float64]

LABEL_METRIC = "auroc"
"""Metric that a record also keeps per label."""


class ClassificationRule(Card):
    """How a classifier is fitted in a classification task.

    Whatever has to be chosen (penalty, training step) is chosen on validation by the task's main metric, or
    as ``training`` says.
    """

    tuning: Literal["frozen", "finetune"]
    """Linear heads on frozen features, or all weights updated."""
    penalties: tuple[float, ...] = ()
    """Grid of squared-norm penalties of the linear head, for frozen features at their optimum."""
    tolerance: float = 0.0
    """Share of their norm by which the weights of a linear head at its optimum may miss it; goes with
    ``penalties``, see :func:`g2d_bench.adapters.linear.fit_heads`."""
    training: ClassificationTraining | None = None
    """For ``finetune``, and for a linear head on frozen features that is trained step by step."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> Self:
        frozen = self.tuning == "frozen"
        if frozen and bool(self.penalties) == (self.training is not None):
            raise ValueError("tuning = 'frozen' takes either penalties or training")
        if not frozen and (self.penalties or self.training is None):
            raise ValueError("tuning = 'finetune' takes training alone")
        if frozen and self.training is not None and self.training.batchnorm != "frozen":
            raise ValueError("tuning = 'frozen' takes batchnorm = 'frozen'")
        if bool(self.penalties) != (self.tolerance > 0):
            raise ValueError("penalties take a tolerance above 0, such as 1e-5, and nothing else does")
        if any(penalty <= 0 for penalty in self.penalties):
            raise ValueError("penalties must be positive")
        if list(self.penalties) != sorted(set(self.penalties)):
            raise ValueError("penalties must ascend")
        return self


def run(job: Job) -> Outcome:
    """Fit the classifier of one cell and predict the test set.

    Returns:
        The task's metrics and the AUROC of each label; those of the predictor that knows the training
        prevalence alone; per test image the probabilities and the true labels.

    Raises:
        InputError: the protocol says nothing about classification, or no validation label shows both
            classes.
    """
    return run_many([job])[0]


@settled
def run_many(jobs: Sequence[Job]) -> list[Outcome]:
    """Fit the classifiers of several cells of one task and protocol; see :func:`run`.

    Linear heads of all cells with one encoder are fitted in one batch. The outcomes are those that the cells
    have one by one.
    """
    rule: ClassificationRule = jobs[0].protocol.table("classification")
    if rule.training is not None:
        from g2d_bench.adapters.finetune import fine_tune

        outcomes = []
        for job in jobs:
            tuned = fine_tune(job, rule.training, _judge(job), frozen=rule.tuning == "frozen")
            outcomes.append(_outcome(job, tuned.val, tuned.test, tuned.notes))
        return outcomes
    return by_encoder(jobs, lambda group: _probe(group, rule))


def _probe(jobs: Sequence[Job], rule: ClassificationRule) -> list[Outcome]:
    """Fit all heads (training set x penalty) on one encoder's features, choose on validation, test once."""
    import torch

    from g2d_bench.adapters.linear import fit_heads
    from g2d_bench.data.cache import pixels_content
    from g2d_bench.encoders.features import frozen_hash, pooled_features

    task, encoder, data = jobs[0].task, jobs[0].encoder, jobs[0].data
    device = encoder.device
    ids = sorted({i for job in jobs for part in (job.data.train, job.data.val, job.data.test) for i in part})
    size = encoder.card.image.size
    fit = encoder.card.image.frame
    pixels = data.pixels(size, fit)
    content = pixels_content(data.manifest, size, fit=fit)
    features = torch.from_numpy(pooled_features(encoder, pixels.pixels, pixels.rows(ids), content=content))
    features, row = features.to(device), {image: place for place, image in enumerate(ids)}

    # With all labels every seed trains on the same images: these heads are fitted once.
    sets = list(dict.fromkeys(job.data.train for job in jobs))
    used = sorted({i for images in sets for i in images})
    place = {image: n for n, image in enumerate(used)}
    rows = torch.zeros(len(sets), len(used), dtype=torch.bool)
    for n, images in enumerate(sets):
        rows[n, [place[i] for i in images]] = True
    truth = torch.from_numpy(data.targets(used))
    heads = fit_heads(
        features[[row[i] for i in used]],
        (truth.argmax(1) if task.exclusive else truth).to(device),
        rows.repeat_interleave(len(rule.penalties), 0).to(device),
        torch.tensor(rule.penalties, dtype=torch.float64).repeat(len(sets)).to(device),
        exclusive=task.exclusive,
        classes=len(task.labels),
        tolerance=rule.tolerance,
    )
    outcomes = []
    for job in jobs:
        first = sets.index(job.data.train) * len(rule.penalties)
        val, test = (features[[row[i] for i in part]] for part in (job.data.val, job.data.test))
        judge = _judge(job)
        validation = [
            judge(probabilities(heads, val, first + n, task.exclusive)) for n in range(len(rule.penalties))
        ]
        # Of equally good penalties the strongest, which says least beyond the data.
        best = max(range(len(validation)), key=lambda n: (validation[n], n))
        chosen = first + best
        outcomes.append(
            _outcome(
                job,
                probabilities(heads, val, chosen, task.exclusive),
                probabilities(heads, test, chosen, task.exclusive),
                {
                    "penalty": rule.penalties[best],
                    "penalty_at_edge": best in (0, len(validation) - 1),
                    "converged": bool(heads.converged[chosen]),
                    "validation": {_judged(job): abs(validation[best])},
                    "encoder_frozen": True,
                    "encoder_state": frozen_hash(encoder.image),
                },
            )
        )
    return outcomes


def probabilities(heads: Heads, features: torch.Tensor, head: int, exclusive: bool) -> Values:
    """Return what one head says of features [N, D]: probabilities [N, C], in double precision."""
    logits = heads.logits(features, head)
    chances: Values = (logits.softmax(1) if exclusive else logits.sigmoid()).cpu().numpy()
    return chances


def _judged(job: Job) -> str:
    """Name what is chosen by: the main metric, as a mean over the labels for which validation defines it."""
    return job.task.main + (" (labels with both classes)" if metric_spec(job.task.main).by_label else "")


def _judge(job: Job) -> Callable[[Values], float]:
    """Return the function that scores predictions of the validation set; greater is better."""
    task, spec = job.task, metric_spec(job.task.main)
    truth = job.data.targets(job.data.val)
    names = [f"{task.main}{PER_LABEL}{label}" for label in task.labels] if spec.by_label else [task.main]
    sign = 1.0 if spec.higher_is_better else -1.0

    def judge(scores: Values) -> float:
        stored = _stored(job, job.data.val, scores, truth)
        if task.main.endswith("_validation"):
            stored["thresholds"] = choose_thresholds(scores, truth)
        known = [value for value in measure(stored, tuple(names)).values() if not np.isnan(value)]
        if not known:
            message = f"{task.main} is undefined on validation, so nothing can be chosen"
            raise InputError(message, file=f"{task.name}.toml", field="main")
        return sign * float(np.mean(known))

    return judge


def _outcome(job: Job, val: Values, test: Values, notes: dict[str, Any]) -> Outcome:
    """Score the test set, with thresholds from validation, beside the prevalence of the training set."""
    task, data = job.task, job.data
    names = task.metrics
    if LABEL_METRIC in names and len(task.labels) > 1:
        names = (*names, *(f"{LABEL_METRIC}{PER_LABEL}{label}" for label in task.labels))
    stored = _stored(job, data.test, test, data.targets(data.test))
    stored["thresholds"] = choose_thresholds(val, data.targets(data.val))
    return Outcome(
        metrics=measure(stored, names),
        references={"prevalence": measure(prevalence(job.data.targets(job.data.train), stored), names)},
        predictions=stored,
        notes={**notes, **({} if task.exclusive else scored.noted(stored))},
    )


def _stored(job: Job, ids: tuple[str, ...], scores: Values, truth: Values) -> dict[str, NDArray[Any]]:
    return {
        "id": np.array(ids),
        "patient": np.array(job.data.patients(ids)),
        "scores": scores,
        "targets": truth,
        "label": np.array(job.task.labels),
    }


def together(task: TaskCard, protocol: Protocol) -> bool:
    """Say whether linear heads are fitted at their optimum, which is cheaper for several cells at once."""
    rule: ClassificationRule | None = protocol.says(task.kind)
    return rule is not None and bool(rule.penalties)


def learned(data: TaskData, arrays: dict[str, Any], names: Sequence[str], _: int) -> dict[str, Any]:
    """Return the metrics of the trivial predictor that needs training images."""
    return {"prevalence": scored.learned(data, data.train, arrays, names)}


def told(sources: Sources) -> dict[str, Any]:
    """Return what the protocol says of the fit that a record notes."""
    rule: ClassificationRule | None = sources.rule
    if rule is None:
        return {}
    found: dict[str, Any] = {"encoder_frozen": rule.tuning == "frozen"}
    if rule.penalties:
        penalty = sources.notes.get("penalty")
        edges = (rule.penalties[0], rule.penalties[-1])
        found |= {
            "penalty": penalty if penalty in rule.penalties else rule.penalties[0],
            "penalty_at_edge": penalty in edges,
        }
    return found


KIND = Kind(
    "classification",
    heading="classification",
    place=2,
    run=run,
    asks=frozenset({"vector"}),
    trained=True,
    trivial=frozenset({"prevalence"}),
    arrays=scored.PROBABILITIES,
    truth=scored.TRUTH,
    kept=scored.TRUTH,
    positives="equal",
    shown=scored.shown,
    expected=scored.expected,
    blind=scored.blind,
    learned=learned,
    noted=scored.noted,
    told=told,
    per_label=(LABEL_METRIC,),
    reduced=scored.REDUCED,
    drawn=lambda ordered, fraction, _: sample_fraction(ordered, fraction),
    rule=ClassificationRule,
    cost=1,
    early=3,
    imports=("g2d_bench.adapters.linear", "g2d_bench.adapters.finetune", "g2d_bench.encoders.features"),
    run_many=run_many,
    together=together,
)
