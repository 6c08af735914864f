"""Configurations of transformers' models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run
from types import SimpleNamespace
from typing import Any

import pytest
from refusing import refusal

from g2d_bench.encoders.hub_config import read_configuration, side_of


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("vit", {"hiden_size": 24}, "image.options.hiden_size: transformers' vit has no such option"),
        ("vit", {"hiden_size": 24}, "did you mean 'hidden_size'?"),
        (
            "siglip",
            {"vision_config": {"image_sise": 64}},
            "image.options.vision_config.image_sise: transformers' siglip has no such option; "
            "did you mean 'image_size'?",
        ),
        ("vit_mae", {"mask_ratio": 0.5}, "image.options.mask_ratio: hides a part of each image"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(model: str, options: dict[str, Any], says: str) -> None:
    assert says in refusal(lambda: read_configuration(model, options, 3, None))


def test_options_of_the_class_its_parts_and_of_every_class_are_taken() -> None:
    options = {"vision_config": {"image_size": 64, "hidden_act": "relu"}, "initializer_factor": 2.0}
    found = read_configuration("siglip", options, 3, None)
    assert (found.vision_config.image_size, found.vision_config.hidden_act) == (64, "relu")
    more = {"layer_norm_eps": 1e-5, "num_labels": 3, "attn_implementation": "eager", "id2label": {0: "a"}}
    assert read_configuration("dinov2", more, 1, None).num_channels == 1
    # What published configurations hold that is no field of the class.
    swin = {"hidden_size": 768, "num_layers": 4, "out_features": ["stage4"], "depths": [1, 1, 1, 1]}
    assert read_configuration("swin", swin, 3, None).out_features == ["stage4"]


def test_options_beside_a_folder_must_be_known_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", "made_by": "another version"}))
    assert read_configuration("vit", {"hidden_size": 24}, 3, tmp_path).hidden_size == 768
    assert "hiden_size" in refusal(lambda: read_configuration("vit", {"hiden_size": 24}, 3, tmp_path))


def test_no_configuration_hides_a_part_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit_mae", "mask_ratio": 0.75}))
    assert read_configuration("vit_mae", {}, 3, tmp_path).mask_ratio == 0
    assert read_configuration("vit_mae", {"mask_ratio": 0.0}, 3, None).mask_ratio == 0


def test_a_side_is_a_number_or_two_equal_ones() -> None:
    config = SimpleNamespace(image_size=[64, 64], patch_size=16, window=[8, 4])
    assert side_of(config, "image_size", 224) == 64
    assert side_of(config, "patch_size", 0) == 16
    assert side_of(config, "absent", 224) == 224
    assert refusal(lambda: side_of(config, "window", 1)) == (
        "image.options.window: is [8, 4]; images and patches are square"
    )


def test_the_library_says_nothing_of_what_is_looked_at() -> None:
    code = (
        "from g2d_bench.encoders.hub_config import read_configuration as read; "
        "read('siglip2', {'vision_config': {'num_hidden_layers': 2}}, 3, None)"
    )
    ran = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout + ran.stderr == ""
