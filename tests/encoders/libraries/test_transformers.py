from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel
from transformers.utils import logging
from word_tokens import write_word_tokenizer

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

TOWER = {"hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 2}
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
    options = {**TOWER, "num_hidden_layers": 8, "image_size": 64, "patch_size": 16}
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
        ("dinov2", {**TOWER, "num_hidden_layers": 4}, "map", "has no attention pooling"),
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
