from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refusal
from transformers import AutoConfig, AutoModel
from transformers.utils import logging
from word_tokens import write_word_tokenizer

from g2d_bench.cards.encoder import EncoderCard, Layout
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.libraries.transformers import LIBRARY
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

TOWER = {"hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 2}
PLAIN = {"hidden_size": 24, "num_attention_heads": 2}
"""As DINOv2 has it, whose layers are as many times wider inside as ``mlp_ratio`` says."""
VISION = {**TOWER, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
TEXT = {
    **TOWER,
    "num_hidden_layers": 2,
    "vocab_size": 20,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SAID = ["no effusion", "large left effusion"]


def card(model: str, **more: Any) -> EncoderCard:
    image = {"library": "transformers", "model": model, "size": 64, **more.pop("image", {})}
    layout = {"layout": "hub", "expect": 1}
    said = {"name": "mine", "title": "Mine", "objective": "other", "scale": "published"}
    return EncoderCard.model_validate({**said, "image": image, "checkpoint": [layout], **more})


def pair(model: str, folder: Path) -> Any:
    """Write a pair of towers with its tokenizer, and return it."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    size = "projection_size" if model == "siglip" else "projection_dim"
    config = AutoConfig.for_model(model, vision_config=VISION, text_config={**TEXT, size: 24})
    whole = AutoModel.from_config(config).eval()
    whole.save_pretrained(folder)
    write_word_tokenizer(folder, ["no", "effusion", "large", "left"])
    return whole


def pixels(encoder: Any) -> torch.Tensor:
    size = encoder.card.image.size
    generator = torch.Generator().manual_seed(0)
    found: torch.Tensor = encoder.preprocess(
        torch.randint(0, 256, (2, size, size), dtype=torch.uint8, generator=generator)
    )
    return found


@pytest.mark.parametrize("model", ["clip", "siglip"])
def test_both_towers_of_a_pair_give_its_own_vectors(model: str, tmp_path: Path) -> None:
    whole = pair(model, tmp_path)
    encoder = load_encoder(card(model, text={"source": "library", "max_length": 16}), checkpoint=tmp_path)
    assert encoder.text is not None, encoder.no_text
    assert encoder.heads is not None
    assert encoder.gives == {"vector", "maps", "text", "cells"}
    x = pixels(encoder)
    with torch.inference_mode():
        features = encoder.image(x)
        tower = whole.vision_model(pixel_values=x)
        torch.testing.assert_close(features.pooled, tower.pooler_output)
        image = encoder.heads.embed_image(features)
        tokens = encoder.text.tokenize(SAID)
        text = encoder.heads.embed_text(encoder.text(tokens), tokens)
        output = whole(pixel_values=x, **tokens)
    normalised = torch.nn.functional.normalize
    torch.testing.assert_close(normalised(image.vector), output.image_embeds, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(normalised(text.vector), output.text_embeds, atol=1e-5, rtol=1e-5)
    assert image.cells is not None
    assert image.cells.shape == (2, image.vector.shape[1], 4, 4)


def test_a_pair_without_tokenizer_still_reads_images(tmp_path: Path) -> None:
    pair("siglip", tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    encoder = load_encoder(card("siglip", text={"source": "library"}), checkpoint=tmp_path)
    assert encoder.text is None
    assert "no tokenizer in" in encoder.no_text


def test_maps_of_a_model_with_tokens_are_its_hidden_states(tmp_path: Path) -> None:
    options = {**PLAIN, "num_hidden_layers": 8, "image_size": 64, "patch_size": 16}
    encoder = ImageEncoder("dinov2", library="transformers", options=options).eval()
    assert encoder.blocks == (1, 3, 5, 7)
    assert encoder.strides == (16,) * 4
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        got = encoder(x)
        output = encoder.body(pixel_values=x, output_hidden_states=True)
    torch.testing.assert_close(got.pyramid[0].flatten(2).mT, output.hidden_states[2][:, 1:])
    torch.testing.assert_close(got.pyramid[3].flatten(2).mT, output.last_hidden_state[:, 1:])
    torch.testing.assert_close(got.pooled, output.last_hidden_state[:, 0])
    mean = ImageEncoder("dinov2", library="transformers", options=options, pool="mean").eval()
    mean.body.load_state_dict(encoder.body.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(mean(x).pooled, output.last_hidden_state[:, 1:].mean(1))


def test_maps_of_a_model_that_shrinks_are_the_last_of_each_size() -> None:
    options = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    encoder = ImageEncoder("resnet", library="transformers", options=options).eval()
    assert encoder.channels == (8, 8, 16, 16)
    assert encoder.strides == (4, 8, 16, 32)
    with torch.inference_mode():
        assert encoder(torch.randn(1, 3, 64, 64)).pooled.shape == (1, 16)


@pytest.mark.parametrize(
    ("model", "options", "pool", "says"),
    [
        ("siglip", {"vision_config": VISION, "text_config": TEXT}, "token", "has no class token"),
        ("dinov2", {**PLAIN, "num_hidden_layers": 4}, "map", "has no attention pooling"),
        ("dinov9", {}, None, "transformers has no 'dinov9'"),
        (
            "siglip_vision_model",
            {**VISION, "vision_use_head": False},
            None,
            "makes no vector of its own; say image.pool = 'mean' or 'token'",
        ),
    ],
)
def test_what_a_model_has_not_is_one_line(
    model: str, options: dict[str, Any], pool: str | None, says: str
) -> None:
    with pytest.raises(InputError) as caught:
        ImageEncoder(model, library="transformers", options=options, pool=pool)
    assert says in str(caught.value)


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    pair("siglip", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert load_encoder(card("siglip"), checkpoint=tmp_path).report is not None
    assert not (tmp_path / "ran").exists()


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pair("siglip", tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot be read"):
        load_encoder(card("siglip"), checkpoint=tmp_path)


def test_a_masked_autoencoder_sees_the_whole_image_in_order() -> None:
    options = {**TOWER, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
    encoder = ImageEncoder("vit_mae", library="transformers", options=options, pool="token").eval()
    body: Any = encoder.body
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        first, second = encoder(x), encoder(x)
        # The same without its shuffling: patches with their positions, then the layers.
        tokens = body.embeddings.patch_embeddings(x) + body.embeddings.position_embeddings[:, 1:]
        start = body.embeddings.cls_token + body.embeddings.position_embeddings[:, :1]
        state = torch.cat([start.expand(2, -1, -1), tokens], dim=1)
        last = body(pixel_values=x, noise=torch.arange(16.0).expand(2, -1), output_hidden_states=True)
    torch.testing.assert_close(last.hidden_states[0], state)
    torch.testing.assert_close(first.pyramid[-1].flatten(2).mT, last.last_hidden_state[:, 1:])
    torch.testing.assert_close(first.pooled, last.last_hidden_state[:, 0])
    assert all(torch.equal(a, b) for a, b in zip(first.pyramid, second.pyramid, strict=True))


def test_what_differs_from_pass_to_pass_is_refused() -> None:
    options = {**PLAIN, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
    encoder = ImageEncoder("dinov2", library="transformers", options=options).eval()
    LIBRARY.plan(encoder.body, "dinov2", options, None)
    body: Any = encoder.body
    body.layernorm.register_forward_hook(lambda *said: said[2] + torch.rand(1))
    with pytest.raises(InputError, match="gives other numbers each time it sees the same image"):
        LIBRARY.plan(encoder.body, "dinov2", options, None)


def test_the_image_itself_is_no_map() -> None:
    options = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "image_size": 64}
    encoder = ImageEncoder("dinov3_convnext", library="transformers", options=options).eval()
    assert encoder.channels == (8, 8, 16, 16)
    assert encoder.strides == (4, 8, 16, 32)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        got = encoder(x)
        output = encoder.body(pixel_values=x, output_hidden_states=True)
    for level, state in zip(got.pyramid, output.hidden_states[1:], strict=True):
        torch.testing.assert_close(level, state)


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("bert", {**TOWER, "num_hidden_layers": 2}, "image.model: transformers' bert reads no images"),
        (
            "siglip2",
            {"vision_config": {**TOWER, "num_hidden_layers": 2}, "text_config": TEXT},
            "image.model: transformers' siglip2 asks for pixel_attention_mask and spatial_shapes beside",
        ),
        ("vit", {**VISION, "image_size": [64, 32]}, "image.options.image_size: is [64, 32]; images and"),
        ("videomae", {**TOWER, "num_hidden_layers": 2}, "cannot be run on an image of 224 px: not enough"),
        # Channels stand last in its states.
        ("hiera", {"embed_dim": 8, "num_heads": [1] * 4, "depths": [1] * 4}, "maps of transformers' hiera"),
        ("vit", {"hiden_size": 24}, "image.options.hiden_size: transformers' vit has no such option"),
    ],
)
def test_what_reads_no_square_image_is_one_line(model: str, options: dict[str, Any], says: str) -> None:
    assert says in refusal(lambda: ImageEncoder(model, library="transformers", options=options))


def test_a_side_may_be_written_twice() -> None:
    options = {**VISION, "image_size": [64, 64], "patch_size": [16, 16]}
    encoder = ImageEncoder("vit", library="transformers", options=options)
    assert encoder.input_size == 64
    assert encoder.strides == (16,) * 4


def dinov2() -> tuple[Any, dict[str, Any]]:
    """Return a model with weights of its own, and the options that make another one of its kind."""
    options = {**PLAIN, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
    return AutoModel.from_config(AutoConfig.for_model("dinov2", **options)).eval(), options


def of_file(options: dict[str, Any], file: Path, **layout: Any) -> Any:
    """Load a file under one layout of a card."""
    said = {"layout": "mine", **layout}
    mine = card("dinov2", image={"options": options}).model_copy(
        update={"checkpoint": [Layout.model_validate(said)]}
    )
    return load_encoder(mine, checkpoint=file)


@pytest.mark.parametrize(
    ("wrap", "layout"),
    [
        (lambda state: {f"module.{name}": one for name, one in state.items()}, {}),
        (lambda state: {f"_orig_mod.{name}": one for name, one in state.items()}, {}),
        (lambda state: {f"net._orig_mod.{name}": one for name, one in state.items()}, {"prefix": "net."}),
        (lambda state: {"ema": state, "epoch": 3}, {}),
        (
            lambda state: {"state_dict": {f"module.net.{name}": one for name, one in state.items()}},
            {"container": "state_dict", "prefix": "net."},
        ),
    ],
)
def test_what_training_tools_put_around_names_is_taken_off(
    wrap: Any, layout: dict[str, Any], tmp_path: Path
) -> None:
    model, options = dinov2()
    torch.save(wrap(model.state_dict()), tmp_path / "x.pt")
    encoder = of_file(options, tmp_path / "x.pt", **layout)
    x = pixels(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.image(x).pooled, model(pixel_values=x).pooler_output)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    model, options = dinov2()
    both = {f"{one}.{name}": t for one in ("teacher", "student") for name, t in model.state_dict().items()}
    torch.save(both, tmp_path / "x.pt")
    assert of_file(options, tmp_path / "x.pt", prefix=["teacher.", "student."]).report is not None
    both["student.layernorm.weight"] = both["student.layernorm.weight"] + 1
    torch.save(both, tmp_path / "x.pt")
    text = refusal(lambda: of_file(options, tmp_path / "x.pt", prefix=["teacher.", "student."]))
    assert "teacher.layernorm.weight and student.layernorm.weight differ and both become layernorm." in text


@pytest.mark.parametrize("hub", [True, False])
def test_another_shape_names_the_file_the_entry_and_both_shapes(hub: bool, tmp_path: Path) -> None:
    model, options = dinov2()
    file = tmp_path / ("model.safetensors" if hub else "x.pt")
    if hub:
        model.save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "mlp_ratio": 2}))
    else:
        torch.save(model.state_dict(), file)
    text = refusal(lambda: of_file({**options, "mlp_ratio": 2}, file))
    assert text.startswith(f"{file}: checkpoint: fits no layout of the card: ")
    assert "12 of other shape (encoder.layer.0.mlp.fc1.bias is (96,), not (48,))" in text
