"""A kind: each image belongs to the class whose mean training vector is nearer."""

from __future__ import annotations

import numpy as np

from g2d_bench.adapters.base import Job, Outcome, settled_one
from g2d_bench.cards.kind import Kind
from g2d_bench.metrics.registry import measure


@settled_one
def run(job: Job) -> Outcome:
    """Compare the test images with the mean vectors of both classes."""
    from g2d_bench.data.cache import pixels_content
    from g2d_bench.encoders.features import frozen_hash, pooled_features

    data, encoder, size = job.data, job.encoder, job.encoder.card.image.size
    table = data.pixels(size)
    content = pixels_content(data.manifest, size)
    train, test = (
        pooled_features(encoder, table.pixels, table.rows(ids), content=content)
        for ids in (data.train, data.test)
    )
    shown = data.targets(data.train)[:, 0] == 1
    without, has = train[~shown].mean(axis=0), train[shown].mean(axis=0)
    margin = np.linalg.norm(test - without, axis=1) - np.linalg.norm(test - has, axis=1)
    stored = {
        "id": np.array(data.test),
        "patient": np.array(data.patients(data.test)),
        "margin": margin,
        "shown": data.targets(data.test)[:, 0],
    }
    blind = {**stored, "margin": np.full(len(margin), float(np.mean(shown)) - 0.5)}
    names = job.task.metrics
    return Outcome(
        metrics=measure(stored, names),
        references={"more-frequent": measure(blind, names)},
        predictions=stored,
        notes={"encoder_state": frozen_hash(encoder.image)},
    )


KIND = Kind(
    "prototype",
    heading="nearest prototype",
    place=10,
    run=run,
    asks=frozenset({"vector"}),
    trained=True,
    trivial=frozenset({"more-frequent"}),
    truth=("shown",),
    cost=1,
)
