"""Phrase grounding: the boxes that a phrase describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters import heat
from g2d_bench.adapters.base import Job, Outcome, settled_one
from g2d_bench.adapters.heat import (
    ARRAYS,
    Blind,
    Heat,
    Pairs,
    image_blind,
    in_parts,
    judge,
    letterboxes,
    mean_region,
    mean_regions,
    region,
)
from g2d_bench.cards.arrays import Rule
from g2d_bench.cards.kind import Kind, Sources
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Phrase, Sample
from g2d_bench.readers.images import Letterbox

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData


@dataclass(frozen=True)
class Query:
    """One phrase of one image: what counts as a sample here."""

    image: str
    category: str
    text: str
    boxes: tuple[Box, ...]


@settled_one
def run(job: Job) -> Outcome:
    """Ask each test image for each of its phrases; validation chooses nothing but the threshold.

    Returns:
        The task's metrics over pairs of image and phrase; those of two maps that look at no image: the mean
        training region ("centre-prior") and that of the phrase's category ("category-prior"); per pair what
        :mod:`g2d_bench.metrics.grounding` needs, with ``category`` and ``text``.

    Raises:
        NotApplicable: the encoder has no text side.
        InputError: a part of the split has no phrase.
    """
    from g2d_bench.adapters.pointer import Pointer

    pointer = Pointer.of(job)
    task, data = job.task, job.data
    parts = asked(data)
    for part, found in parts.items():
        if not found:
            raise InputError(f"no {part} image has a phrase", file=f"{task.name}.toml", field="split")
    val, test = (
        _pairs(data, parts[part], pointer.by_phrases([(query.image, query.text) for query in parts[part]]))
        for part in ("val", "test")
    )
    images = tuple(query.image for query in parts["test"])
    return judge(
        job,
        val,
        test,
        {
            "id": np.array(images),
            "patient": np.array(data.patients(images)),
            **_category(parts["test"]),
            "text": np.array([query.text for query in parts["test"]]),
        },
        lambda: _blind(data, parts),
        {
            "phrases": {part: len(found) for part, found in parts.items()},
            "encoder_state": pointer.state(),
        },
    )


def queries(sample: Sample, labels: Sequence[str]) -> list[Query]:
    """Return the phrases of an image whose finding is among ``labels``.

    Where a data set has boxes but no phrases, the name of each label in small letters asks for its boxes.
    """
    phrases = sample.phrases or tuple(
        Phrase(label.lower(), boxes)
        for label in labels
        if (boxes := tuple(box for box in sample.boxes if box.label == label))
    )
    return [
        Query(sample.id, phrase.boxes[0].label, phrase.text, phrase.boxes)
        for phrase in phrases
        if phrase.boxes and phrase.boxes[0].label in labels
    ]


def asked(data: TaskData) -> dict[str, list[Query]]:
    """Return the phrases that are asked for in each part."""
    return in_parts(data, queries)


def _category(some: Sequence[Query]) -> dict[str, NDArray[Any]]:
    return {"category": np.array([query.category for query in some])}


def _blind(data: TaskData, parts: Mapping[str, Sequence[Query]]) -> Blind:
    """Return the mean training region, and that of its category, as the map of every phrase."""
    task, train = data.task, _pairs(data, parts["train"], [])
    regions = [(query.category, train.regions(n)) for n, query in enumerate(parts["train"])]
    everywhere = mean_region((region for _, region in regions), task.eval_size)
    by_category = mean_regions(regions, task.labels, task.eval_size)
    first, second = ([by_category[query.category] for query in parts[part]] for part in ("val", "test"))
    return {
        "centre-prior": ([everywhere] * len(first), [everywhere] * len(second)),
        "category-prior": (first, second),
    }


def _pairs(data: TaskData, some: Sequence[Query], heats: list[Heat]) -> Pairs:
    boxes = letterboxes(data, [query.image for query in some])
    return Pairs(heats, lambda place: region(some[place].boxes, boxes[place]), boxes)


def expected(data: TaskData) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    """Return the image of each query of the test set, and the truth."""
    found = asked(data)["test"]
    ids = [query.image for query in found]
    sizes = data.manifest.sizes[data.manifest.rows(ids)].tolist()
    boxes = [Letterbox.of((rows, columns), data.task.eval_size) for rows, columns in sizes]
    areas = [region(query.boxes, box).sum() for query, box in zip(found, boxes, strict=True)]
    return ids, {"true": np.array(areas), **_category(found)}


def learned(
    data: TaskData, arrays: dict[str, NDArray[Any]], names: Sequence[str], _: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the mean training regions."""
    parts = asked(data)
    val, test = (_pairs(data, parts[part], []) for part in ("val", "test"))
    return image_blind(val, test, arrays, _blind(data, parts), names)


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what a record notes of its maps, and how many phrases it asks for."""
    return {**heat.noted(predictions), "phrases.test": len(predictions["id"])}


def told(sources: Sources) -> dict[str, Any]:
    """Return what a record notes of maps and parts, as far as cards and images tell."""
    found, data = heat.told(sources), sources.data
    if data is None:
        return found
    return {**found, "phrases": {part: len(some) for part, some in asked(data).items()}}


KIND = Kind(
    "phrase",
    heading="phrase grounding (no training)",
    place=5,
    run=run,
    asks=frozenset({"text", "cells"}),
    trained=False,
    trivial=frozenset({"centre-prior", "category-prior"}),
    arrays={**ARRAYS, "category": Rule("U", ("N",)), "text": Rule("U", ("N",))},
    samples="pairs",
    truth=("true", "category"),
    expected=expected,
    learned=learned,
    noted=noted,
    told=told,
    cost=0,
    early=1,
    imports=("g2d_bench.adapters.pointer",),
)
