from __future__ import annotations

from typing import Any

import timm
import torch
from open_clip.model import _build_vision_tower

from g2d_bench.encoders.converters.openai_clip import convert


def test_a_tower_of_openais_names_becomes_timms_model() -> None:
    vision = {"image_size": 64, "layers": 3, "width": 64, "patch_size": 32}
    theirs: Any = _build_vision_tower(16, vision, quick_gelu=True).eval()
    theirs.proj = None
    ours = timm.create_model(
        "vit_base_patch32_clip_quickgelu_224", num_classes=0, embed_dim=64, depth=3, num_heads=1, img_size=64
    ).eval()
    ours.load_state_dict(convert(theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)


def test_what_is_not_known_stays_as_it_is() -> None:
    assert list(convert({"proj": torch.zeros(2, 2)})) == ["proj"]
