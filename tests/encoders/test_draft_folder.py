"""Cards that are drafted from folders in the hub's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from g2d_bench.encoders.draft_folder import draft_folder, weights_in
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
    assert weights_in(folder) == folder / "model.safetensors"
    done = cli("add-encoder", folder)
    assert done.exit_code == 0, done.output
    assert (folder / "rad-dino.toml").is_file()
    assert "entries loaded" in done.stdout


def test_a_clip_pair_has_a_text_side_and_a_stretch(tmp_path: Path) -> None:
    config = {"model_type": "siglip", "vision_config": {"image_size": 448}, "auto_map": {"AutoModel": "x"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = draft_folder(tmp_path)
    assert made.text
    assert made.size == 448
    assert any("code of its own, which is never run" in ask for ask in made.asks)
    assert any("there is no preprocessor_config.json" in ask for ask in made.asks)
    size = {"size": {"height": 384, "width": 384}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(size))
    assert (draft_folder(tmp_path).fit, draft_folder(tmp_path).size) == ("stretch", 384)


def test_open_clip(tmp_path: Path) -> None:
    said = {
        "model_cfg": {"vision_cfg": {"image_size": 224}},
        "preprocess_cfg": {"mean": [0.4] * 3, "std": [0.2] * 3},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(said))
    made = draft_folder(tmp_path)
    assert (made.library, made.size, made.fit, made.mean) == ("open_clip", 224, "crop", [0.4] * 3)


def test_what_is_no_such_folder(tmp_path: Path, cli: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"without config.json or open_clip_config.json"):
        draft_folder(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="is no JSON object"):
        draft_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="says no model_type"):
        draft_folder(tmp_path)
    away = cli("add-encoder", "nobody/such-a-model")
    assert away.exit_code == 2
    assert "hf-hub:nobody/such-a-model: neither cached nor within reach" in away.stderr
