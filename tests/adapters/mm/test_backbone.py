"""An encoder as a backbone: maps computed once or in every step, and what stays frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from g2d_bench.adapters.base import Job
from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.encoders.features import pyramid_bytes, pyramid_features
from g2d_bench.encoders.load import Encoder

backbone = import_quietly("g2d_bench.adapters.mm.backbone")
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 64, 64), dtype=np.uint8)
ROWS = torch.tensor([3, 0])


def test_maps_from_a_table_are_those_of_the_images(small_encoder: Callable[..., Encoder]) -> None:
    encoder = small_encoder()
    maps = pyramid_features(encoder, PIXELS, np.arange(4))
    kept = backbone.EncoderBackbone(encoder, PIXELS, maps, "frozen", "frozen").train()
    computed = backbone.EncoderBackbone(encoder, PIXELS, None, "frozen", "frozen").train()
    for one, other, level in zip(kept(ROWS), computed(ROWS), maps, strict=True):
        assert torch.equal(one, level[ROWS])
        assert torch.allclose(one, other, atol=1e-4)
        assert not other.requires_grad


@pytest.mark.parametrize(("batchnorm", "moves"), [("frozen", False), ("train", True)])
def test_batchnorm_moves_only_where_it_may(
    small_encoder: Callable[..., Encoder], batchnorm: str, moves: bool
) -> None:
    encoder = small_encoder()
    model = backbone.EncoderBackbone(encoder, PIXELS, None, "finetune", batchnorm).train()
    before = encoder.image.state_dict()["body.bn1.running_mean"].clone()
    maps = model(ROWS)
    assert all(level.requires_grad for level in maps)
    after = encoder.image.state_dict()["body.bn1.running_mean"]
    assert torch.equal(before, after) != moves


def test_maps_are_kept_as_far_as_they_fit(job_of: Callable[..., Job]) -> None:
    job = job_of()
    ids = list(job.data.test[:3])
    need = 3 * pyramid_bytes(job.encoder)
    none, rows = backbone.kept_maps(
        replace(job, memory_budget=need - 1), ids, pyramid_features, pyramid_bytes
    )
    assert none is None
    assert rows == {name: n for n, name in enumerate(ids)} == backbone.numbered(ids)
    maps, rows = backbone.kept_maps(replace(job, memory_budget=need), ids, pyramid_features, pyramid_bytes)
    table = job.data.pixels(job.encoder.card.image.size)
    for name in ids:
        alone = pyramid_features(job.encoder, table.pixels, table.rows([name]))
        for level, one in zip(maps, alone, strict=True):
            assert torch.allclose(level[rows[name]], one[0], atol=1e-4)


def test_a_batch_has_row_numbers_or_rows_of_numbers() -> None:
    assert backbone.collate([{"inputs": 3, "data_samples": "a"}, {"inputs": 1, "data_samples": "b"}])[
        "inputs"
    ].tolist() == [3, 1]
    wide = backbone.collate([{"inputs": (3, 0.5, 1.0), "data_samples": "a"}])
    assert wide["inputs"].shape == (1, 3)
    assert wide["data_samples"] == ["a"]
