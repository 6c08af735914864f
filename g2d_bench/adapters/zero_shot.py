"""Zero-shot classification: an image against prompts for and against each finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters import scores as scored
from g2d_bench.adapters.base import Job, Outcome, settled_one
from g2d_bench.cards.kind import Kind, Sources
from g2d_bench.errors import InputError
from g2d_bench.metrics.classification import choose_thresholds, prevalence
from g2d_bench.metrics.registry import measure
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.recompute import no_probabilities

if TYPE_CHECKING:
    from torch import Tensor

    from g2d_bench.adapters.text_image import TextImage
    from g2d_bench.data.task_data import TaskData

Values = NDArray[np.float64]

COSINES = "cosine with the mean positive prompt - cosine with the mean negative prompt"
"""What a score is, in the notes of a record."""
LABEL_METRIC = "auroc"
"""Metric that a record also keeps per label."""


@settled_one
def run(job: Job) -> Outcome:
    """Score the test set by prompts; validation chooses nothing but the thresholds.

    The score of an image for a label is the cosine with the mean positive prompt less the cosine with the
    mean negative one. Prompts are scaled to length one before and after they are averaged (BioViL: Boecking
    et al., ECCV 2022; one prompt of each sort gives CheXzero's order: Tiu et al., 2022). No score depends on
    other images of the set. A scorer is asked instead, where the encoder has one.

    Returns:
        The task's metrics and the AUROC of each label; those of the predictor that knows the training
        prevalence alone; per test image scores in [-2, 2] and the true labels.

    Raises:
        NotApplicable: the encoder has no text side.
        InputError: the task asks for a metric of probabilities, and the scores are none.
    """
    from g2d_bench.adapters.text_image import TextImage

    task, data = job.task, job.data
    assert task.prompts is not None
    if job.encoder.scorer is not None:
        from g2d_bench.adapters import by_scorer

        whose = {label: task.prompts.of(label, job.encoder.card.objective)[1] for label in task.labels}
        val, test = (by_scorer.scores(job, ids) for ids in (data.val, data.test))
        said: dict[str, Any] = {"score": by_scorer.words(job), "encoder_state": by_scorer.state(job)}
    else:
        members = [TextImage.of(encoder) for encoder in (job.encoder, *job.encoder.others)]
        asked = [prompt_vectors(job, member) for member in members]
        whose = asked[0][1]
        val, test = (
            averaged([scores(job, m, anchors, ids) for m, (anchors, _) in zip(members, asked, strict=True)])
            for ids in (data.val, data.test)
        )
        said = {"score": COSINES, "encoder_state": members[0].state()}
        if len(members) > 1:
            words = f"mean over {len(members)} models of the probability of the positive of two prompts"
            said |= {"score": words, "others": [member.state() for member in members[1:]]}
    for name in task.metrics:
        if why := no_probabilities(KIND.name, said, name):
            raise InputError(f"{name} does not apply, {why}", file=f"{task.name}.toml", field="metrics")
    names = task.metrics
    if LABEL_METRIC in names and len(task.labels) > 1:
        names = (*names, *(f"{LABEL_METRIC}{PER_LABEL}{label}" for label in task.labels))
    stored = {
        "id": np.array(data.test),
        "patient": np.array(data.patients(data.test)),
        "scores": test,
        "targets": data.targets(data.test),
        "label": np.array(task.labels),
        "thresholds": choose_thresholds(val, data.targets(data.val)),
    }
    return Outcome(
        metrics=measure(stored, names),
        references={"prevalence": measure(prevalence(job.data.targets(job.data.split.train), stored), names)},
        predictions=stored,
        notes={
            **said,
            "prompts": {"set": task.prompts.name, "hash": task.prompts.digest(task.labels), "of": whose},
            **scored.noted(stored),
        },
    )


def probable(notes: Mapping[str, Any]) -> bool:
    """Say whether the scores of a record are probabilities, by what it notes of them.

    Example:
        >>> probable({"score": COSINES})
        False
    """
    return "probability" in str(notes.get("score", ""))


def averaged(tables: list[Values]) -> Values:
    """Join what the members of an ensemble say: the mean of their probabilities; one alone keeps its score.

    The probability is the softmax over the cosines with the positive and the negative prompt, without a
    scale, as CheXzero's (Tiu et al., 2022).
    """
    if len(tables) == 1:
        return tables[0]
    return np.asarray(np.mean([1 / (1 + np.exp(-table)) for table in tables], axis=0))


def prompt_vectors(job: Job, both: TextImage) -> tuple[Tensor, dict[str, str]]:
    """Average the prompts of each label.

    Returns:
        Unit vectors [2, C, d], positive ones first, and whose prompts each label has been asked with.
    """
    import torch
    from torch.nn.functional import normalize

    from g2d_bench.encoders.heads.base import unit

    assert job.task.prompts is not None
    anchors, whose = [], {}
    for label in job.task.labels:
        prompts, whose[label] = job.task.prompts.of(label, both.method)
        for texts in (prompts.positive, prompts.negative):
            anchors.append(unit(both.embed_texts(texts).vector).mean(dim=0))
    return normalize(torch.stack(anchors).view(-1, 2, anchors[0].shape[-1]).transpose(0, 1), dim=-1), whose


def scores(job: Job, both: TextImage, anchors: Tensor, ids: tuple[str, ...]) -> Values:
    """Return cosine with the positive less cosine with the negative anchor per image and label: [N, C]."""
    table = np.empty((len(ids), len(job.task.labels)))
    for place, image in both.embed_images(job, ids, cells=False):
        yes, no = (both.heads.global_similarity(image.vector, anchor).double() for anchor in anchors)
        table[place] = (yes - no).cpu().numpy()
    return table


def learned(data: TaskData, arrays: dict[str, Any], names: Sequence[str], _: int) -> dict[str, Any]:
    """Return the metrics of the trivial predictor that needs training images."""
    return {"prevalence": scored.learned(data, data.split.train, arrays, names)}


def told(sources: Sources) -> dict[str, Any]:
    """Return what a record notes of its prompts and scores, as far as the cards tell."""
    task, card = sources.task, sources.encoder
    found: dict[str, Any] = {
        "prompts.set": task.prompts.name,
        "prompts.hash": task.prompts.digest(task.labels),
    }
    if card is not None:
        found["prompts.of"] = {label: task.prompts.of(label, card.objective)[1] for label in task.labels}
        if not card.scorer and card.ensemble == 1:
            found["score"] = COSINES
    return found


KIND = Kind(
    "zero-shot",
    heading="zero-shot classification (no training)",
    place=3,
    run=run,
    asks=frozenset({"vector", "text"}),
    trained=False,
    trivial=frozenset({"prevalence"}),
    arrays=scored.ARRAYS,
    truth=scored.TRUTH,
    kept=scored.TRUTH,
    positives="equal",
    shown=scored.shown,
    expected=scored.expected,
    blind=scored.blind,
    learned=learned,
    noted=scored.noted,
    told=told,
    probabilities=probable,
    per_label=(LABEL_METRIC,),
    reduced=scored.REDUCED,
    prompts=True,
    cost=0,
    early=2,
    imports=("g2d_bench.adapters.text_image",),
)
