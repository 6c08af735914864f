"""Vision transformers that are told by the shapes of their entries: the drafted card loads what it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.draft import draft
from g2d_bench.encoders.draft_card import Draft, card_text
from g2d_bench.encoders.draft_vit import tell_vit
from g2d_bench.encoders.load import load_encoder

TINY = "vit_tiny_patch16_224"
SMALL: dict[str, Any] = {"depth": 2, "img_size": 32}


@pytest.mark.parametrize(
    ("name", "options", "told", "pool"),
    [
        (TINY, {"depth": 14, "img_size": 32}, {"depth": 14, "img_size": 32}, ""),
        (TINY, {**SMALL, "patch_size": 8}, {**SMALL, "patch_size": 8}, ""),
        (
            TINY,
            {**SMALL, "class_token": False, "global_pool": "avg"},
            {**SMALL, "class_token": False, "global_pool": "avg"},
            "mean",
        ),
        (TINY, {**SMALL, "global_pool": "avg"}, {**SMALL, "global_pool": "avg"}, "mean"),
        (
            TINY,
            {**SMALL, "global_pool": "avg", "class_token": False, "fc_norm": False},
            {**SMALL, "global_pool": "avg", "class_token": False, "fc_norm": False},
            "mean",
        ),
        (
            TINY,
            {**SMALL, "global_pool": "map", "class_token": False},
            {**SMALL, "global_pool": "map", "class_token": False},
            "map",
        ),
        (TINY, {**SMALL, "no_embed_class": True}, {**SMALL, "no_embed_class": True}, ""),
        ("vit_small_patch14_reg4_dinov2", {"depth": 1, "img_size": 56}, {"depth": 1, "img_size": 56}, ""),
        (TINY, {**SMALL, "embed_dim": 320, "num_heads": 5}, {"embed_dim": 320, "num_heads": 5, **SMALL}, ""),
    ],
)
def test_the_features_are_those_of_the_model(
    name: str, options: dict[str, Any], told: dict[str, Any], pool: str, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    model = timm.create_model(name, num_classes=0, **options).eval()
    torch.save(model.state_dict(), tmp_path / "m.pth")
    made = draft(tmp_path / "m.pth")
    assert made.options == told
    assert made.pool == pool
    assert any(ask.startswith("num_heads: no file of a ViT tells") for ask in made.asks)
    (tmp_path / "m.toml").write_text(card_text(made, "M", ""))
    encoder = load_encoder(load_card(tmp_path / "m.toml", EncoderCard), checkpoint=tmp_path / "m.pth")
    images = torch.randn(2, 3, made.size, made.size)
    with torch.inference_mode():
        assert torch.allclose(encoder.image(images).pooled, model(images), atol=1e-5)


@pytest.mark.parametrize(
    ("width", "patch", "depth", "more", "model", "options"),
    [
        (1280, 14, 32, (), "vit_huge_patch14_224", {}),
        (1280, 16, 32, (), "vit_huge_patch14_224", {"patch_size": 16}),
        (384, 16, 24, (), "vit_small_patch16_224", {"depth": 24}),
        (1024, 16, 12, (), "vit_large_patch16_224", {"depth": 12}),
        (1408, 14, 40, (), "vit_giant_patch14_224", {}),
        (1536, 14, 40, ("blocks.0.ls1.gamma",), "vit_giant_patch14_dinov2", {}),
    ],
)
def test_sizes_are_timms(
    width: int, patch: int, depth: int, more: tuple[str, ...], model: str, options: dict[str, Any]
) -> None:
    side = (518 if more else 224) // patch
    own: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + side**2, width),
        "norm.weight": (width,),
        **{f"blocks.{n}.norm1.weight": (width,) for n in range(depth)},
        **dict.fromkeys(more, (width,)),
    }
    made = Draft()
    tell_vit(own, made)
    assert (made.model, made.options, made.pool) == (model, options, "")


def test_a_file_without_places_asks_for_the_size() -> None:
    made = Draft()
    tell_vit(
        {"patch_embed.proj.weight": (192, 3, 16, 16), "cls_token": (1, 1, 192), "norm.weight": (192,)}, made
    )
    assert made.size == 224
    assert any(ask.startswith("size: ") for ask in made.asks)
