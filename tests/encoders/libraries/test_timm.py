from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.libraries.timm import LIBRARY
from g2d_bench.errors import InputError

VIT = {"embed_dim": 24, "depth": 4, "num_heads": 2, "img_size": 32}
FAMILIES: list[tuple[str, dict[str, Any], str | None, int]] = [
    ("resnet18", {"channels": [8, 8, 8, 16]}, None, 64),
    ("vit_base_patch16_224", VIT, None, 32),
    ("vit_small_patch14_dinov2", {**VIT, "img_size": 56}, "token", 56),
    ("vit_small_patch14_reg4_dinov2", {**VIT, "img_size": 56}, "token", 56),
    ("vit_small_patch16_dinov3", VIT, "mean", 32),
    ("eva02_tiny_patch14_224", {**VIT, "img_size": 56}, "mean", 56),
    ("vit_base_patch16_siglip_224", VIT, "map", 32),
    ("vit_so400m_patch14_siglip_gap_224", {**VIT, "img_size": 56}, "mean", 56),
    (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "img_size": 64, "window_size": 2},
        None,
        64,
    ),
    ("convnext_atto", {"dims": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}, None, 64),
    ("densenet121", {"growth_rate": 4, "block_config": [1, 1, 1, 1]}, None, 64),
    ("efficientnet_b0", {}, None, 64),
    (
        "davit_tiny",
        {"embed_dims": [8, 8, 16, 16], "num_heads": [1, 1, 2, 2], "depths": [1, 1, 1, 1]},
        None,
        64,
    ),
]


@pytest.mark.parametrize(("model", "options", "pool", "side"), FAMILIES, ids=[one[0] for one in FAMILIES])
def test_vector_and_pyramid_are_timms_own(
    model: str, options: dict[str, Any], pool: str | None, side: int
) -> None:
    encoder = seeded_encoder(model, seed=1, options=options, pool=pool).eval()
    body: Any = encoder.body
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        vector = body.forward_head(body.forward_features(images), pre_logits=True)
        whole = body(images)
        ours = encoder(images)
    torch.testing.assert_close(ours.pooled, vector, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.pooled, whole, atol=1e-5, rtol=1e-5)
    assert ours.pooled.shape == (2, encoder.num_features)
    assert len(ours.pyramid) == len(encoder.channels) >= 4
    for level, channels, stride in zip(ours.pyramid, encoder.channels, encoder.strides, strict=True):
        assert level.shape == (2, channels, side // stride, side // stride)
    # Whatever its strides are, a decoder stands on it, and gives a map of about the input's size.
    logits = UNetDecoder(encoder.channels, encoder.strides, (8, 8, 4))(ours.pyramid)
    assert logits.shape[:2] == (2, 1)
    assert side / 1.3 <= logits.shape[-1] <= side * 1.3


def test_one_channel_is_for_the_card_to_say() -> None:
    encoder = ImageEncoder("resnet18", options={"channels": [8, 8, 8, 8]}, channels=1).eval()
    with torch.inference_mode():
        assert encoder(torch.randn(1, 1, 32, 32)).pooled.shape == (1, 8)


@pytest.mark.parametrize(
    ("model", "options", "pool", "says"),
    [
        ("vit_base_patch16_siglip_224", {}, "token", "pools by 'map', the card says 'token'"),
        ("vit_base_patch16_siglip_224", {}, "mean", "pools by 'map', the card says 'mean'"),
        ("vit_base_patch16_224", {}, "mean", "image.options.global_pool = 'avg' may change the model"),
        ("resnet18", {}, "token", "pools by 'mean', the card says 'token'"),
        ("resnet18", {}, "map", "pools by 'mean', the card says 'map'"),
        ("resnet18", {"global_pool": ""}, None, "image.options.global_pool: resnet18 makes no vector"),
        ("vit_base_patch16_224", {"global_pool": ""}, "library", "makes no vector without pooling"),
        ("vit_base_patch16_224", {"global_pool": "avg"}, None, "say image.pool = 'mean' for the model's own"),
    ],
)
def test_another_pool_than_the_cards_is_refused(
    model: str, options: dict[str, Any], pool: str | None, says: str
) -> None:
    small = {} if model == "resnet18" else VIT
    with pytest.raises(InputError) as caught:
        ImageEncoder(model, options={**small, **options}, pool=pool)
    assert says in str(caught.value)


def test_the_librarys_own_pool_is_taken_when_asked_for() -> None:
    for model in ("vit_base_patch16_siglip_224", "vit_base_patch16_224"):
        assert ImageEncoder(model, options=VIT, pool="library").num_features == 24


def test_a_model_that_tells_no_maps_is_refused() -> None:
    with pytest.raises(InputError, match="timm's bare does not tell its intermediate maps"):
        LIBRARY.plan(nn.Linear(2, 2), "bare", {}, None)


def test_every_registered_family_of_the_rule_is_known_to_timm() -> None:
    assert all(timm.is_model(model) for model, *_ in FAMILIES)
