"""Grounding: the region of a finding from its prompts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters import by_finding, heat
from g2d_bench.adapters.base import Job, Outcome, settled_one
from g2d_bench.adapters.heat import (
    ARRAYS,
    Blind,
    Heat,
    Mask,
    Pairs,
    image_blind,
    judge,
    letterboxes,
    mean_region,
)
from g2d_bench.cards.arrays import Rule
from g2d_bench.cards.kind import Kind, Sources
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData


@settled_one
def run(job: Job) -> Outcome:
    """Ask each positive test image for the finding; validation chooses nothing but the threshold.

    The map is the mean over the positive prompts of :meth:`~g2d_bench.encoders.heads.base.Heads.local_map`.
    A task of one label looks for its mask, one of several for the boxes of each; see
    :mod:`g2d_bench.adapters.by_finding`.

    Returns:
        The task's metrics over the images that show the finding; those of the mean training region, a map
        that looks at no image ("centre-prior"); per image what :mod:`g2d_bench.metrics.grounding` needs.

    Raises:
        NotApplicable: the encoder has no text side.
        InputError: a part of the split shows no finding.
    """
    if len(job.task.labels) > 1:
        return by_finding.run(job)
    from g2d_bench.adapters.pointer import Pointer

    pointer = Pointer.of(job)
    task, data = job.task, job.data
    assert task.prompts is not None
    label = task.labels[0]
    prompts, whose = task.prompts.of(label, job.encoder.card.objective)
    parts: dict[str, tuple[str, ...]] = {}
    for part, ids in asked(data).items():
        parts[part] = ids
        if not ids:
            raise InputError(f"no {part} image shows {label!r}", file=f"{task.name}.toml")
    val, test = (
        _pairs(
            data,
            parts[part],
            pointer.by_prompts([(image, label) for image in parts[part]], {label: prompts.positive}),
        )
        for part in _ASKED
    )
    return judge(
        job,
        val,
        test,
        {"id": np.array(parts["test"]), "patient": np.array(data.patients(parts["test"]))},
        lambda: _blind(data, parts),
        {
            "prompts": {"set": task.prompts.name, "hash": task.prompts.digest(task.labels), "of": whose},
            "images": {part: len(ids) for part, ids in parts.items()},
            "encoder_state": pointer.state(),
        },
    )


_ASKED = ("val", "test")


def asked(data: TaskData) -> dict[str, tuple[str, ...]]:
    """Return the images of each part that show the finding."""
    label = data.task.labels[0]
    return {
        part: tuple(i for i in ids if data.samples[i].labels.get(label) == 1)
        for part, ids in data.split.parts.items()
    }


def _blind(data: TaskData, parts: Mapping[str, tuple[str, ...]]) -> Blind:
    """Return the mean training region as the map of every image."""
    prior = mean_region((_region(data, i) for i in parts["train"]), data.task.eval_size)
    return {"centre-prior": ([prior] * len(parts["val"]), [prior] * len(parts["test"]))}


def _region(data: TaskData, image: str) -> Mask:
    masks = data.masks
    mask: Mask = masks.read(masks.rows([image]))[0]
    return mask


def _pairs(data: TaskData, ids: tuple[str, ...], heats: list[Heat]) -> Pairs:
    return Pairs(heats, lambda place: _region(data, ids[place]), letterboxes(data, ids))


def expected(data: TaskData) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    """Return ids and truth of the test images that show the finding."""
    if not data.task.masked:
        return by_finding.expected(data)
    ids = [name for name in data.test if data.samples[name].labels.get(data.task.labels[0]) == 1]
    masks = data.masks
    return ids, {"true": np.bitwise_count(masks.bits[masks.rows(ids)]).sum(axis=1, dtype=np.int64)}


def learned(
    data: TaskData, arrays: dict[str, NDArray[Any]], names: Sequence[str], size: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the mean training region."""
    if not data.task.masked:
        return by_finding.learned(data, arrays, names, size)
    parts = asked(data)
    val, test = (_pairs(data, parts[part], []) for part in _ASKED)
    return image_blind(val, test, arrays, _blind(data, parts), names)


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what a record notes of its maps, and how many images or findings it asks for."""
    counted = "findings.test" if "category" in predictions else "images.test"
    return {**heat.noted(predictions), counted: len(predictions["id"])}


def told(sources: Sources) -> dict[str, Any]:
    """Return what a record notes of prompts and parts, as far as cards and images tell."""
    found, data = heat.told(sources), sources.data
    if data is None:
        return found
    if not sources.task.masked:
        return {**found, "findings": {part: len(ones) for part, ones in by_finding.asked(data).items()}}
    return {**found, "images": {part: len(ids) for part, ids in asked(data).items()}}


KIND = Kind(
    "grounding",
    heading="grounding (no training)",
    place=4,
    run=run,
    asks=frozenset({"text", "cells"}),
    trained=False,
    trivial=frozenset({"centre-prior"}),
    arrays={**ARRAYS, "category": Rule("U", ("N",))},
    lacks=lambda task: () if len(task.labels) > 1 else ("category",),
    samples="positives",
    truth=("true",),
    expected=expected,
    learned=learned,
    noted=noted,
    told=told,
    per_label=by_finding.LABEL_METRICS,
    prompts=True,
    masks=True,
    cost=0,
    early=0,
    imports=("g2d_bench.adapters.pointer",),
)
