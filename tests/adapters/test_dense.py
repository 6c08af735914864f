"""What segmentation and detection have in common: their images, and what a record says of the training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from g2d_bench.adapters.base import Job
from g2d_bench.adapters.dense import Material
from g2d_bench.adapters.mm.runner import Trained, import_quietly
from g2d_bench.encoders.features import frozen_hash, pyramid_bytes, pyramid_features

import_quietly("g2d_bench.adapters.mm.backbone")
TRAINED = Trained(steps=12, chosen_step=8, validation=0.5)


def material(job: Job) -> Material:
    return Material.of(job, job.protocol.table("segmentation"), pyramid_features, pyramid_bytes)


@pytest.mark.parametrize("budget", [1 << 30, 1])
def test_rows_lead_to_the_images_of_each_part(job_of: Callable[..., Job], budget: int) -> None:
    job = job_of(budget)
    found = material(job)
    assert {part: list(ids) for part, ids in found.ids.items()} == {
        "train": list(job.data.train),
        "val": list(job.data.val),
        "test": list(job.data.test),
    }
    assert len(found.pixels) == sum(map(len, found.ids.values()))
    assert (found.maps is None) == (budget == 1)
    table = job.data.pixels(job.encoder.card.image.size)
    for part, ids in found.ids.items():
        rows = found.rows[part]
        if found.maps is None:
            np.testing.assert_array_equal(found.pixels[rows], table.pixels[table.rows(ids)])
        else:
            again = pyramid_features(job.encoder, table.pixels, table.rows(ids))
            assert torch.allclose(found.maps[-1][rows], again[-1], atol=1e-4)


def test_notes_hold_the_encoder_to_what_was_promised(job_of: Callable[..., Job]) -> None:
    job = job_of()
    found = material(job)
    notes = found.notes(job.encoder, TRAINED, "dice_positive")
    assert notes["validation"] == {"dice_positive": 0.5}
    assert notes["encoder_state"] == frozen_hash(job.encoder.image)
    assert "encoder_state_after" not in notes
    with torch.no_grad():
        next(job.encoder.image.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="the frozen encoder changed"):
        found.notes(job.encoder, TRAINED, "dice_positive")


def test_a_tuned_encoder_leaves_both_of_its_states(job_of: Callable[..., Job]) -> None:
    job = job_of(tuning="finetune", batchnorm="train")
    found = material(job)
    with torch.no_grad():
        next(job.encoder.image.parameters()).add_(1)
    notes = found.notes(job.encoder, TRAINED, "dice_positive")
    assert notes["dense_features"] == "computed per step"
    assert notes["encoder_state_after"] == frozen_hash(job.encoder.image) != notes["encoder_state"]
