"""Encoders with their BatchNorm folded in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from g2d_bench.encoders.features import frozen_hash
from g2d_bench.encoders.folded import folded
from g2d_bench.encoders.image import seeded_encoder


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("resnet18", {"channels": [8, 8, 16, 16], "stem_type": "deep", "stem_width": 8, "avg_down": True}),
        ("resnet50", {"channels": [8, 8, 8, 8]}),
        ("vit_base_patch16_224", {"embed_dim": 12, "num_heads": 2, "img_size": 32}),
    ],
)
def test_a_folded_encoder_says_the_same_and_leaves_the_other_alone(
    model: str, options: dict[str, Any]
) -> None:
    image = seeded_encoder(model, seed=2, options=options).eval()
    generator = torch.Generator().manual_seed(0)
    for module in image.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(module, name).data = torch.rand(module.num_features, generator=generator) + 0.5
    before = frozen_hash(image)
    x = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.inference_mode():
        wanted, found = image(x), folded(image)(x)
    assert frozen_hash(image) == before
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(image).modules())
    for one, other in zip([*wanted.pyramid, wanted.pooled], [*found.pyramid, found.pooled], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
