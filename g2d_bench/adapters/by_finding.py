"""Grounding of several findings: each box of an image is asked for by the prompts of its own finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters.base import Job, Outcome
from g2d_bench.adapters.heat import (
    Blind,
    Heat,
    Pairs,
    image_blind,
    in_parts,
    judge,
    letterboxes,
    mean_regions,
    region,
)
from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.images import Letterbox

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData

LABEL_METRICS = ("pointing", "iou_at_validation")
"""Metrics that a record also keeps per finding."""


@dataclass(frozen=True)
class Asked:
    """One finding of one image: what counts as a sample here."""

    image: str
    finding: str
    boxes: tuple[Box, ...]


def findings(sample: Sample, labels: Sequence[str]) -> list[Asked]:
    """Return the findings of an image that have boxes, in the order of ``labels``; all boxes of one finding
    are one region."""
    drawn = {label: tuple(box for box in sample.boxes if box.label == label) for label in labels}
    return [Asked(sample.id, label, boxes) for label, boxes in drawn.items() if boxes]


def run(job: Job) -> Outcome:
    """Ask each test image for each finding of which it has boxes.

    The map is the mean over the finding's positive prompts of
    :meth:`~g2d_bench.encoders.heads.base.Heads.local_map`; validation chooses one threshold for all findings.

    Returns:
        The task's metrics over pairs of image and finding, of each finding also those of
        :data:`LABEL_METRICS`; those of the mean training region of the finding ("centre-prior"); per pair
        what :mod:`g2d_bench.metrics.grounding` needs, with ``category``.

    Raises:
        NotApplicable: the encoder has no text side.
        InputError: a part of the split has no box.
    """
    from g2d_bench.adapters.pointer import Pointer

    pointer = Pointer.of(job)
    task, data = job.task, job.data
    assert task.prompts is not None
    parts = asked(data)
    for part, found in parts.items():
        if not found:
            message = f"no {part} image has a box of {', '.join(task.labels)}"
            raise InputError(message, file=f"{task.name}.toml", field="split")
    chosen = {label: task.prompts.of(label, job.encoder.card.objective) for label in task.labels}
    prompts = {label: found.positive for label, (found, _) in chosen.items()}
    val, test = (
        _pairs(
            data,
            parts[part],
            pointer.by_prompts([(one.image, one.finding) for one in parts[part]], prompts),
        )
        for part in ("val", "test")
    )
    images = tuple(one.image for one in parts["test"])
    return judge(
        job,
        val,
        test,
        {
            "id": np.array(images),
            "patient": np.array(data.patients(images)),
            **_category(parts["test"]),
        },
        lambda: _blind(data, parts),
        {
            "prompts": {
                "set": task.prompts.name,
                "hash": task.prompts.digest(task.labels),
                "of": {label: whose for label, (_, whose) in chosen.items()},
            },
            "findings": {part: len(found) for part, found in parts.items()},
            "encoder_state": pointer.state(),
        },
        names=(
            *task.metrics,
            *(
                f"{name}{PER_LABEL}{label}"
                for name in LABEL_METRICS
                if name in task.metrics
                for label in task.labels
            ),
        ),
    )


def asked(data: TaskData) -> dict[str, list[Asked]]:
    """Return the findings that are asked for in each part."""
    return in_parts(data, findings)


def _category(some: Sequence[Asked]) -> dict[str, NDArray[Any]]:
    return {"category": np.array([one.finding for one in some])}


def _blind(data: TaskData, parts: Mapping[str, Sequence[Asked]]) -> Blind:
    """Return the mean training region of its finding as the map of everything that is asked."""
    train = _pairs(data, parts["train"], [])
    regions = [(one.finding, train.regions(n)) for n, one in enumerate(parts["train"])]
    prior = mean_regions(regions, data.task.labels, data.task.eval_size)
    first, second = ([prior[one.finding] for one in parts[part]] for part in ("val", "test"))
    return {"centre-prior": (first, second)}


def learned(
    data: TaskData, arrays: dict[str, NDArray[Any]], names: Sequence[str], _: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the mean training region of each finding."""
    parts = asked(data)
    val, test = (_pairs(data, parts[part], []) for part in ("val", "test"))
    return image_blind(val, test, arrays | _category(parts["test"]), _blind(data, parts), names)


def expected(data: TaskData) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    """Return the image of each finding that is asked for in the test set, and the pixels of its boxes."""
    found = asked(data)["test"]
    ids = [one.image for one in found]
    sizes = data.manifest.sizes[data.manifest.rows(ids)].tolist()
    frames = [Letterbox.of((rows, columns), data.task.eval_size) for rows, columns in sizes]
    return ids, {
        "true": np.array([region(one.boxes, frame).sum() for one, frame in zip(found, frames, strict=True)])
    }


def _pairs(data: TaskData, some: Sequence[Asked], heats: list[Heat]) -> Pairs:
    boxes = letterboxes(data, [one.image for one in some])
    return Pairs(heats, lambda place: region(some[place].boxes, boxes[place]), boxes)
