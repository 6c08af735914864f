"""Cards that are drafted from folders in the hub's layout."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import timm
import torch
from open_clip import CLIP
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model

from g2d_bench.encoders.draft_card import Draft
from g2d_bench.encoders.draft_folder import draft_folder, weights_on_hub
from g2d_bench.encoders.weights import weights_in
from g2d_bench.errors import InputError


def test_a_folder_of_transformers_becomes_a_card_that_loads(tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "Rad-Dino"
    torch.manual_seed(7)
    sizes = {"hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 4, "image_size": 56}
    Dinov2Model(Dinov2Config(**sizes, patch_size=14)).save_pretrained(folder)
    processor = {
        "do_center_crop": True,
        "crop_size": {"height": 56, "width": 56},
        "size": {"shortest_edge": 64},
        "image_mean": [0.53] * 3,
        "image_std": [0.26] * 3,
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    made = draft_folder(folder)
    assert (made.library, made.model, made.size) == ("transformers", "dinov2", 56)
    assert (made.fit, made.resize, made.interpolation) == ("crop", 64, "bicubic")
    assert made.mean == [0.53] * 3
    assert weights_in(folder, "transformers") == folder / "model.safetensors"
    done = cli("add-encoder", folder)
    assert done.exit_code == 0, done.output
    assert (folder / "rad-dino.toml").is_file()
    assert "entries loaded" in done.stdout


def test_a_clip_pair_has_a_text_side_and_a_stretch(tmp_path: Path) -> None:
    config = {"model_type": "siglip", "vision_config": {"image_size": 448}, "auto_map": {"AutoModel": "x"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = draft_folder(tmp_path)
    assert made.text == "library"
    assert made.size == 448
    assert any("code of its own, which is never run" in ask for ask in made.asks)
    assert any("there is no preprocessor_config.json" in ask for ask in made.asks)
    size = {"size": {"height": 384, "width": 384}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(size))
    assert (draft_folder(tmp_path).fit, draft_folder(tmp_path).size) == ("stretch", 384)


VISION = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
PAIR: dict[str, Any] = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_folder_of_open_clip_becomes_a_card_that_loads(
    file: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    folder = tmp_path / "My CLIP"
    folder.mkdir()
    torch.manual_seed(7)
    state = {name: value.contiguous() for name, value in CLIP(**PAIR).state_dict().items()}
    if file.endswith(".bin"):
        torch.save(state, folder / file)
    else:
        save_file(state, folder / file)
    how = {"mean": [0.4] * 3, "std": [0.2] * 3, "resize_mode": "squash"}
    said = {"model_cfg": PAIR, "preprocess_cfg": how}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    made = draft_folder(folder)
    assert (made.library, made.size, made.fit, made.mean) == ("open_clip", 64, "stretch", [0.4] * 3)
    done = cli("add-encoder", folder)
    assert done.exit_code == 0, done.output
    card = tomllib.loads((folder / "my-clip.toml").read_text())
    assert card["image"]["model"] == "My CLIP"
    assert card["checkpoint"][0]["prefix"] == "visual."
    assert card["text"] == {"source": "library", "max_length": 16}
    assert "heads: 1 of 1 entries loaded" in done.stdout
    [command] = [line for line in done.stdout.splitlines() if line.startswith("g2d-bench doctor")]
    assert cli(*shlex.split(command)[1:]).exit_code == 0
    # A folder stands for the weights in it.
    looked = cli("doctor", "--encoder", "my-clip", "--encoders-dir", folder, "--checkpoint", folder)
    assert looked.exit_code == 0, looked.output
    assert f"weights     {folder / file}" in looked.stdout


def test_the_text_side_of_open_clip(tmp_path: Path) -> None:
    def told(**more: Any) -> Draft:
        said = {"model_cfg": {**PAIR, "text_cfg": {"context_length": 256, **more}}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(said))
        return draft_folder(tmp_path)

    made = told(hf_model_name="somebody/a-bert", hf_tokenizer_name="somebody/a-bert")
    assert (made.text, made.length) == ("hf-hub:somebody/a-bert", 256)
    made = told(hf_tokenizer_name="somebody/words")
    assert made.text == ""
    assert any(ask.startswith("text: its tokenizer is one of the hub") for ask in made.asks)
    (tmp_path / "config.json").write_text("{}")
    assert told(hf_model_name="somebody/a-bert").text == "library"
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"open_clip_config\.json: model_cfg: needs model_cfg with vision_cfg"
    ):
        draft_folder(tmp_path)


def test_weights_of_the_hub_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asks: list[str] = []
    there = ["open_clip_pytorch_model.bin", "pytorch_model.bin"]
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda _: there)
    assert weights_on_hub("a/b", "open_clip", asks) == "hf-hub:a/b:open_clip_pytorch_model.bin"
    assert weights_on_hub("a/b", "transformers", asks) == "hf-hub:a/b:pytorch_model.bin"
    assert asks == []
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda _: [])
    assert weights_on_hub("a/b", "transformers", asks) == "hf-hub:a/b:model.safetensors"
    assert asks == ["weights: is model.safetensors the name of the file?"]


def test_what_is_no_such_folder(tmp_path: Path, cli: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"without config.json or open_clip_config.json"):
        draft_folder(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="is no JSON object"):
        draft_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="says no model_type"):
        draft_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    none = cli("add-encoder", tmp_path)
    assert none.exit_code == 2
    assert "a folder without model.safetensors or pytorch_model.bin" in none.stderr
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    parts = cli("add-encoder", tmp_path)
    assert parts.exit_code == 2
    assert "model.safetensors.index.json: weights in several files, which are not read" in parts.stderr
    assert not list(tmp_path.glob("*.toml"))
    away = cli("add-encoder", "nobody/such-a-model")
    assert away.exit_code == 2
    assert "hf-hub:nobody/such-a-model: neither cached nor within reach" in away.stderr


TIMM = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 5,
    "global_pool": "avg",
    "model_args": {"img_size": 64, "depth": 2, "global_pool": "avg"},
    "pretrained_cfg": {
        "input_size": [3, 64, 64],
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.2, 0.2],
        "classifier": "head",
    },
}


def test_a_folder_of_timm_becomes_a_card_that_loads(tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "my-vit"
    folder.mkdir()
    torch.manual_seed(7)
    body = timm.create_model(TIMM["architecture"], num_classes=5, **cast(dict[str, Any], TIMM["model_args"]))
    save_file(body.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(TIMM))
    made = draft_folder(folder)
    assert (made.library, made.model, made.pool) == ("timm", "vit_tiny_patch16_224", "mean")
    assert (made.size, made.fit, made.resize, made.interpolation) == (64, "crop", 73, "bicubic")
    assert (made.mean, made.std, made.drop) == ([0.5, 0.4, 0.3], [0.2, 0.2, 0.2], ["head.*"])
    done = cli("add-encoder", folder)
    assert done.exit_code == 0, done.output
    card = tomllib.loads((folder / "my-vit.toml").read_text())
    assert card["image"]["options"] == TIMM["model_args"]


def test_what_timm_says_of_its_input(tmp_path: Path) -> None:
    def of(**said: Any) -> Draft:
        whole = {"architecture": "resnet18", "pretrained_cfg": said}
        (tmp_path / "config.json").write_text(json.dumps(whole))
        return draft_folder(tmp_path)

    # What it leaves out is timm's own: ImageNet's mean, and seven eighths of the shortest side.
    made = of(input_size=[3, 224, 224])
    assert (made.size, made.fit, made.resize, made.interpolation) == (224, "crop", 256, "bicubic")
    assert made.mean == [0.485, 0.456, 0.406]
    assert of(input_size=[3, 96, 96], crop_pct=1.0, crop_mode="squash").fit == "stretch"
    assert of(crop_pct=1.0).resize == 224
    asked = {
        "fit: what is its crop_mode 'border'?": of(crop_mode="border"),
        "size: it takes 64x96 px, and a card says one side": of(input_size=[3, 96, 64]),
        "set channels = 1 under [image]": of(input_size=[1, 64, 64], mean=[0.5], std=[0.5]),
        "mean, std, fit: its pretrained_cfg cannot be read": of(input_size=[3, "x", 64]),
        "stretches films to 109 x 109": of(input_size=[3, 96, 96], crop_pct=0.875, crop_mode="squash"),
    }
    for ask, drafted in asked.items():
        assert any(ask in one for one in drafted.asks), ask
