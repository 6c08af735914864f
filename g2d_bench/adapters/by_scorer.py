"""What the kinds without training ask a scorer, in the place of an encoder's two sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.adapters.base import Job
from g2d_bench.adapters.heat import Heat
from g2d_bench.devices import accelerator
from g2d_bench.encoders.features import batch_size
from g2d_bench.encoders.feed import batches
from g2d_bench.encoders.scorer import code_of, heat_of, scores_of
from g2d_bench.readers.fit import Fit

SCORE = "mean score of the positive prompts"
"""What a zero-shot score is, in the notes of a record."""
PROBABILITY = "mean probability of the positive prompts"
"""Likewise, where a scorer says that it gives probabilities; the difference of two is none."""


def scores(job: Job, ids: Sequence[str]) -> NDArray[np.float64]:
    """Score images for each label: [N, C].

    The mean score of the positive prompts, less that of the negative ones where they mean something to the
    method.
    """
    encoder, prompts = job.encoder, job.task.prompts
    assert prompts is not None
    asked = [prompts.of(label, encoder.card.objective)[0] for label in job.task.labels]
    texts = list(dict.fromkeys(text for one in asked for text in (*one.positive, *_negative(job, one))))
    place = {text: n for n, text in enumerate(texts)}
    table = np.empty((len(ids), len(asked)))
    for start, images in _images(job, ids, encoder.card.image.frame):
        given = scores_of(encoder.scorer, encoder.card.scorer, images, texts, encoder.precision)
        found = given.cpu().numpy()
        for n, one in enumerate(asked):
            yes = found[:, [place[text] for text in one.positive]].mean(axis=1)
            against = _negative(job, one)
            no = found[:, [place[text] for text in against]].mean(axis=1) if against else 0.0
            rows = table[start : start + len(found)]
            rows[:, n] = (yes - no)[: len(rows)]
    return table


def heats(job: Job, asked: Sequence[tuple[str, Sequence[str]]]) -> list[Heat]:
    """Ask for the maps of images: pairs of an image and texts, of whose maps the mean is taken."""
    encoder = job.encoder
    flat = [(image, text) for image, texts in asked for text in texts]
    maps: list[Heat] = []
    # Maps must lie where the task looks for them: on the whole film.
    for start, images in _images(job, [image for image, _ in flat], None):
        said = [text for _, text in flat[start : start + len(images)]]
        found = heat_of(encoder.scorer, encoder.card.scorer, images[: len(said)], said, encoder.precision)
        maps += list(found.cpu().numpy())
    grouped, at = [], 0
    for _, texts in asked:
        grouped.append(np.mean(maps[at : at + len(texts)], axis=0).astype(np.float32))
        at += len(texts)
    return grouped


def state(job: Job) -> dict[str, Any]:
    """Name the code that took part, for the record."""
    name = job.encoder.card.scorer
    return {"scorer": name, "code": code_of(name)}


def words(job: Job) -> str:
    """Say what a zero-shot score is."""
    if _asks_negatives(job):
        return SCORE + " - mean score of the negative prompts"
    return PROBABILITY if getattr(job.encoder.scorer, "probabilities", False) else SCORE


def _asks_negatives(job: Job) -> bool:
    return bool(getattr(job.encoder.scorer, "negatives", True))


def _negative(job: Job, prompts: Any) -> tuple[str, ...]:
    negative: tuple[str, ...] = prompts.negative if _asks_negatives(job) else ()
    return negative


@torch.no_grad()
def _images(job: Job, ids: Sequence[str], fit: Fit | None) -> Iterator[tuple[int, Tensor]]:
    """Yield places in ``ids`` and images, normalised as the card says; letterboxed if ``fit`` is None.

    Not in inference mode, whose tensors code of others cannot compute with wherever it wants gradients.
    """
    encoder = job.encoder.to(accelerator())
    table = job.data.pixels(encoder.card.image.size, fit)
    rows, size = np.asarray(table.rows(ids), dtype=np.int64), batch_size(encoder)
    starts = range(0, len(rows), size)
    parts = [rows[start : start + size] for start in starts]
    for start, part, full in zip(
        starts, parts, batches(table.pixels, parts, size, encoder.device), strict=True
    ):
        yield start, encoder.preprocess(full[: len(part)])
