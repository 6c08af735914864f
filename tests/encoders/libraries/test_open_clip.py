from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip import CLIP, CoCa, CustomTextCLIP
from refusing import refusal
from torch.nn import functional as F

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.doctor import diagnose, render
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

TIMM = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "image_size": 224}
CAPTION = {**PLAIN["vision_cfg"], "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4}
VISION: dict[str, dict[str, Any]] = {
    "vit": PLAIN["vision_cfg"],
    "vit mean": {**PLAIN["vision_cfg"], "pool_type": "avg"},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
    "attention": CAPTION,
    "attention mean": {**CAPTION, "pool_type": "avg"},
    "timm linear": {**TIMM, "timm_proj": "linear"},
    "timm mlp": {**TIMM, "timm_proj": "mlp"},
    "timm null": {**TIMM, "timm_proj": None},
    "timm empty": {**TIMM, "timm_proj": ""},
    "timm resnet": {**TIMM, "timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": None},
    "timm eva map": {
        **TIMM,
        "timm_model_name": "vit_pe_core_tiny_patch16_384",
        "timm_pool": "map",
        "timm_proj": None,
        "image_size": 384,
    },
}


def stirred(model: Any) -> Any:
    """Give every entry values of its own, what starts at nought or one included."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return model.eval()


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


@pytest.mark.parametrize("name", VISION)
def test_vectors_are_those_that_the_model_compares_with_texts(name: str, tmp_path: Path) -> None:
    vision = VISION[name]
    options = {**PLAIN, "vision_cfg": vision}
    model: Any = stirred(CLIP(**options))
    file = tmp_path / "x.pt"
    torch.save(model.state_dict(), file)
    mine = card(options, vision["image_size"], ["proj", "head.*"])
    encoder = load_encoder(mine, checkpoint=file)
    assert encoder.heads is not None
    assert encoder.text is not None
    side = vision["image_size"]
    x = encoder.preprocess(torch.randint(0, 256, (2, side, side), dtype=torch.uint8))
    with torch.inference_mode():
        features = encoder.image(x)
        vector = encoder.heads.embed_image(features).vector
        expected = model.encode_image(x)
    assert vector.shape == expected.shape == (2, 16)
    assert torch.allclose(F.cosine_similarity(vector, expected), torch.ones(2), atol=1e-5)
    assert tuple(level.shape[1] for level in features.pyramid) == encoder.image.channels
    assert tuple(round(side / level.shape[-1]) for level in features.pyramid) == encoder.image.strides
    assert features.pooled.shape[1] == encoder.image.num_features
    # `doctor` finds it sound, its text side included.
    report = diagnose(mine, file, installed=lambda _: False)
    assert report.ok, render(report)
    assert "text encoder: " in render(report)


def test_a_captioning_model_is_read_without_its_captions(tmp_path: Path) -> None:
    text = {**TEXT, "embed_cls": True, "output_tokens": True}
    options = {**PLAIN, "vision_cfg": {**CAPTION, "output_tokens": True}, "text_cfg": text}
    captions = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    model: Any = stirred(CoCa(**options, multimodal_cfg={**captions, "attn_pooler_heads": 2}))
    file = tmp_path / "x.pt"
    torch.save(model.state_dict(), file)
    encoder = load_encoder(card(options, 64, ["proj"]), checkpoint=file)
    assert encoder.heads is not None
    assert encoder.text is not None
    x = encoder.preprocess(torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8))
    tokens = encoder.text.tokenize(["a film", "another"])
    with torch.inference_mode():
        features = encoder.image(x)
        image = encoder.heads.embed_image(features)
        vector = encoder.heads.embed_text(encoder.text(tokens), tokens).vector
        expected = model.encode_image(x, normalize=False), model.encode_text(tokens["text"], normalize=False)
        tower = model.visual
        patch = features.pyramid[-1][:, :, 1, 2][:, None]
        one = tower.ln_post(tower.attn_pool(patch))[:, 0] @ tower.proj
    torch.testing.assert_close(image.vector, expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(vector, expected[1], atol=1e-5, rtol=1e-5)
    assert image.cells is not None
    torch.testing.assert_close(image.cells[:, :, 1, 2], one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("vision", "says"),
    [
        ({**PLAIN["vision_cfg"], "pool_type": "none"}, "makes several vectors of an image, not one"),
        ({**CAPTION, "attentional_pool": "cascade"}, "makes several vectors of an image, not one"),
        (
            {**TIMM, "timm_model_name": "resnet10t", "timm_pool": "abs_attn", "timm_proj": ""},
            "pools in its head, by 'abs_attn', which is not read",
        ),
    ],
)
def test_what_makes_no_vector_of_an_image_is_one_line(vision: dict[str, Any], says: str) -> None:
    options = {**PLAIN, "vision_cfg": vision}
    text = refusal(lambda: ImageEncoder("mine", library="open_clip", options=options))
    assert text.startswith("image.options.vision_cfg: open_clip's mine ")
    assert says in text


def test_a_file_of_several_processes_brings_both_sides(tmp_path: Path) -> None:
    model = CLIP(**PLAIN).eval()
    file = tmp_path / "x.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}, "epoch": 3}, file)
    mine = card(PLAIN, 64, ["proj"])
    layout = mine.checkpoint[0].model_copy(update={"container": "state_dict"})
    encoder = load_encoder(mine.model_copy(update={"checkpoint": [layout]}), checkpoint=file)
    assert encoder.text is not None
    tokens = encoder.text.tokenize(["a film"])
    with torch.inference_mode():
        vector = encoder.text(tokens).hidden[-1][:, 0]
        torch.testing.assert_close(vector, model.encode_text(tokens["text"]), atol=1e-5, rtol=1e-5)


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
