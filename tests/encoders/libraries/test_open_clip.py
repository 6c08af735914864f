from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip import CLIP, CustomTextCLIP

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.libraries.open_clip import configuration
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
PLAIN: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 64, "patch_size": 16},
    "text_cfg": TEXT,
}
SIGLIP: dict[str, Any] = {
    "embed_dim": 192,
    "vision_cfg": {
        "timm_model_name": "vit_tiny_patch16_224",
        "timm_pool": "map",
        "timm_proj": "none",
        "image_size": 224,
    },
    "text_cfg": TEXT,
}


def card(options: dict[str, Any], size: int, drop: list[str]) -> EncoderCard:
    return EncoderCard.model_validate(
        {
            "name": "mine",
            "title": "Mine",
            "objective": "other",
            "scale": "published",
            "image": {
                "library": "open_clip",
                "model": "mine",
                "options": options,
                "size": size,
                "pool": "library",
            },
            "checkpoint": [{"layout": "plain", "prefix": "visual.", "drop": drop, "expect": 1}],
            "text": {"source": "library", "max_length": 16},
        }
    )


def test_the_configuration_beside_a_file_goes_before_the_card(tmp_path: Path) -> None:
    model = CLIP(**PLAIN).eval()
    file = tmp_path / "open_clip_pytorch_model.bin"
    torch.save(model.state_dict(), file)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": PLAIN}))
    encoder = load_encoder(card({}, 64, ["proj"]), checkpoint=file)
    assert encoder.text is not None
    assert encoder.heads is not None
    x = encoder.preprocess(torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8))
    with torch.inference_mode():
        features = encoder.image(x)
        image = encoder.heads.embed_image(features)
        torch.testing.assert_close(image.vector, model.encode_image(x), atol=1e-5, rtol=1e-5)
        tokens = encoder.text.tokenize(["a film"])
        vector = encoder.heads.embed_text(encoder.text(tokens), tokens).vector
        torch.testing.assert_close(vector, model.encode_text(tokens["text"]), atol=1e-5, rtol=1e-5)
    assert image.cells is not None
    assert image.cells.shape == (2, 16, 4, 4)
    # The class token before its projection, which open_clip gives when it has none.
    model.visual.proj = None
    with torch.inference_mode():
        torch.testing.assert_close(features.pooled, model.encode_image(x), atol=1e-5, rtol=1e-5)


def test_a_siglip_pools_single_patches_for_its_cells(tmp_path: Path) -> None:
    model: Any = CustomTextCLIP(**SIGLIP).eval()
    file = tmp_path / "siglip.pt"
    torch.save(model.state_dict(), file)
    encoder = load_encoder(card(SIGLIP, 224, []), checkpoint=file)
    assert encoder.heads is not None
    x = encoder.preprocess(torch.randint(0, 256, (1, 224, 224), dtype=torch.uint8))
    with torch.inference_mode():
        features = encoder.image(x)
        image = encoder.heads.embed_image(features)
        torch.testing.assert_close(image.vector, model.encode_image(x), atol=1e-5, rtol=1e-5)
        one = model.visual.trunk.attn_pool(features.pyramid[-1][:, :, 2, 3][:, None])
    assert image.cells is not None
    torch.testing.assert_close(image.cells[:, :, 2, 3], one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "open_clip has no 'ViT-B-33'; did you mean"),
        ({"embed_dim": 16}, "image.options.vision_cfg: is missing or of another type"),
        ({**PLAIN, "vision_cfg": {"layers": 4, "colour": 3}}, "refuses its configuration"),
    ],
)
def test_a_wrong_configuration_is_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        ImageEncoder("ViT-B-33", library="open_clip", options=options)
    assert says in str(caught.value)


def test_open_clips_own_configurations_are_known_by_name() -> None:
    assert configuration("ViT-B-32-quickgelu", {})["quick_gelu"] is True


def test_another_pool_is_refused() -> None:
    with pytest.raises(InputError, match="pools by 'token', the card says 'mean'"):
        ImageEncoder("mine", library="open_clip", options=PLAIN, pool="mean")
