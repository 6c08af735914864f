from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.image_side import build_image
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

NARROW = {"channels": [8, 8, 8, 16]}
TINY_VIT = {"embed_dim": 24, "num_heads": 2, "img_size": 64}


def features(encoder: ImageEncoder, side: int = 64) -> Any:
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return encoder.eval()(images)


def test_resnet_pyramid_is_timms_own() -> None:
    encoder = seeded_encoder("resnet50", seed=0, options=NARROW)
    assert encoder.channels == (64, 32, 32, 32, 64)
    assert encoder.strides == (2, 4, 8, 16, 32)
    assert encoder.num_features == 64
    assert encoder.input_size is None
    reference = timm.create_model(
        "resnet50", features_only=True, out_indices=(0, 1, 2, 3, 4), channels=(8, 8, 8, 16)
    )
    reference.load_state_dict(encoder.body.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        ours = encoder.eval()(images)
        theirs = reference.eval()(images.contiguous(memory_format=torch.channels_last))
        pooled = encoder.body(images)
    assert [tuple(level.shape[1:]) for level in ours.pyramid] == [
        (channels, 64 // stride, 64 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    for level, expected in zip(ours.pyramid, theirs, strict=True):
        assert torch.equal(level, expected)
    torch.testing.assert_close(ours.pooled, pooled)


def test_vit_maps_are_block_outputs_and_pooled_is_the_class_token() -> None:
    encoder = seeded_encoder("vit_base_patch16_224", seed=0, options=TINY_VIT)
    assert encoder.blocks == (2, 5, 8, 11)
    assert encoder.channels == (24,) * 4
    assert encoder.strides == (16,) * 4
    assert encoder.input_size == 64
    body: Any = encoder.body
    outputs: list[torch.Tensor] = []
    for block in body.blocks:
        block.register_forward_hook(lambda _module, _input, output: outputs.append(output))
    got = features(encoder)
    assert len(outputs) == 12
    with torch.inference_mode():
        normed = body.norm(outputs[11])
    torch.testing.assert_close(got.pooled, normed[:, 0])
    for level, tokens in zip(got.pyramid, [outputs[2], outputs[5], outputs[8], normed], strict=True):
        assert level.shape == (2, 24, 4, 4)
        for row in range(4):
            for column in range(4):
                expected = tokens[:, 1 + 4 * row + column]
                torch.testing.assert_close(level[:, :, row, column], expected)


def test_upsampling_inside_is_bilinear_with_aligned_corners() -> None:
    plain = seeded_encoder("resnet18", seed=0, options=NARROW)
    inside = seeded_encoder("resnet18", seed=0, options=NARROW, upsample_inside=96)
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    grid = torch.linspace(0, 63, 96, dtype=torch.float64)
    low = grid.floor().long().clamp(max=62)
    weight = grid - low
    rows = images[:, :, low] * (1 - weight)[:, None] + images[:, :, low + 1] * weight[:, None]
    larger = rows[..., low] * (1 - weight) + rows[..., low + 1] * weight
    with torch.inference_mode():
        expected = plain.eval()(larger.float())
        got = inside.eval()(images.float())
    assert got.pyramid[0].shape[-1] == 48
    torch.testing.assert_close(got.pooled, expected.pooled, atol=1e-5, rtol=1e-4)


def test_seed_decides_the_initialisation_and_nothing_else_moves() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = seeded_encoder("resnet18", seed=1, options=NARROW)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = seeded_encoder("resnet18", seed=1, options=NARROW)
    other = seeded_encoder("resnet18", seed=2, options=NARROW)
    assert torch.equal(features(first).pooled, features(again).pooled)
    assert not torch.equal(features(first).pooled, features(other).pooled)


def test_random_residual_branches_are_alive() -> None:
    options = load_card(shipped("baselines") / "random.r50.toml", EncoderCard).image.options
    assert options == {"zero_init_last": False}
    alive = ImageEncoder("resnet50", options={**NARROW, **options}).body.state_dict()
    assert all(float(alive[name].abs().min()) > 0 for name in alive if name.endswith("bn3.weight"))


def test_phantom_encoder_is_small() -> None:
    card = load_card(shipped("baselines") / "random.toml", EncoderCard)
    encoder = build_image(card, seed=0)
    assert sum(parameter.numel() for parameter in encoder.parameters()) <= 2_000_000
    got = features(encoder, 128)
    assert got.pooled.shape == (2, encoder.num_features)
    assert [level.shape[-1] for level in got.pyramid] == [64, 32, 16, 8, 4]


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("resnet500", {}, "image.model: timm has no 'resnet500'; did you mean 'resnet50'?"),
        ("qqqqqqqq", {}, "image.model: timm has no 'qqqqqqqq'; see timm.list_models()"),
        ("resnet50", {"chanels": [8, 8, 8, 8]}, "image.options: timm's resnet50 refuses"),
        ("vit_base_patch16_224", {"embed_dim": 25, "num_heads": 2}, "image.options: timm's vit_base"),
        ("resnet18", {"channels": [8, 8, 8, -8]}, "image.options: timm's resnet18 refuses"),
        ("resnet18", {"checkpoint_path": "x.pth"}, "image.options.checkpoint_path: is not for a card to say"),
        ("resnet18", {"pretrained_cfg": {"url": "http://x"}}, "image.options.pretrained_cfg: is not for"),
    ],
)
def test_wrong_architecture_is_one_line(model: str, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        ImageEncoder(model, options=options)
    assert str(caught.value).startswith(expected)


SMALL_VIT = {"img_size": 32, "embed_dim": 16, "depth": 4, "num_heads": 2}


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        (
            "vit_base_patch16_224",
            {"class_token": False, "global_pool": "avg"},
            "image.options.class_token: vit_base_patch16_224 has no class token, which is what is probed",
        ),
        (
            "vit_base_patch16_224",
            {"global_pool": "avg"},
            "image.options.global_pool: vit_base_patch16_224 pools by 'avg'; of a ViT the class token",
        ),
        (
            "vit_base_patch16_siglip_224",
            {},
            "image.model: vit_base_patch16_siglip_224 has no class token",
        ),
        (
            "vit_base_patch16_224",
            {"class_token": False, "reg_tokens": 4, "global_pool": "avg"},
            "image.options.class_token: vit_base_patch16_224 has no class token",
        ),
    ],
)
def test_a_vit_without_class_token_is_refused(model: str, options: dict[str, Any], expected: str) -> None:
    """Its first token is a patch or a register: a probe of it would be another measurement, in silence."""
    with pytest.raises(InputError) as caught:
        ImageEncoder(model, options={**SMALL_VIT, **options})
    assert str(caught.value).startswith(expected)


def test_registers_behind_a_class_token_do_no_harm() -> None:
    encoder = ImageEncoder("vit_base_patch16_224", options={**SMALL_VIT, "reg_tokens": 4}).eval()
    got = features(encoder, 32)
    assert got.pooled.shape == (2, 16)
    assert got.pyramid[-1].shape == (2, 16, 2, 2)


def test_pretrained_without_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> object:
        raise OSError("no network\nand many lines of advice")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(InputError, match="timm's weights cannot be had: no network and many"):
        ImageEncoder("resnet18", pretrained=True)
    with pytest.raises(OSError, match="no network"):
        ImageEncoder("resnet18")


def test_a_model_that_gives_maps_for_a_vector_is_refused() -> None:
    encoder = ImageEncoder("resnet18", options={"channels": [8, 8, 8, 8]}).eval()
    encoder.body.global_pool = torch.nn.Identity()
    with pytest.raises(InputError) as caught:
        features(encoder)
    assert str(caught.value) == (
        "image.options.global_pool: the model makes [8, 2, 2] of an image in the place of a vector [8]; "
        "choose another pooling"
    )
