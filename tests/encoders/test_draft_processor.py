"""Image processors in the words of a card: right, or asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessor

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.draft_card import Draft, card_text
from g2d_bench.encoders.draft_processor import read_object, read_open_clip, read_processor
from g2d_bench.errors import InputError
from g2d_bench.readers.fit import Fit

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
SQUARE = {"size": {"height": 64, "width": 64}}
VIT = {"image_processor_type": "ViTImageProcessor", **SQUARE}


def read(folder: Path, said: Any, file: str = "preprocessor_config.json") -> Draft:
    (folder / file).write_text(json.dumps(said))
    made = Draft(library="transformers", model="vit")
    read_processor(folder, made)
    return made


def test_what_is_left_out_is_that_of_the_librarys_class(tmp_path: Path) -> None:
    said = {"image_processor_type": "CLIPImageProcessor", "crop_size": 64, "size": 64}
    made = read(tmp_path, said)
    assert made.mean == CLIP_MEAN
    assert made.std == CLIP_STD
    assert (made.fit, made.size, made.resize, made.interpolation) == ("crop", 64, 64, "bicubic")
    assert made.asks == []
    nested = read(
        tmp_path, {"image_processor": said, "processor_class": "CLIPProcessor"}, "processor_config.json"
    )
    assert nested.mean == CLIP_MEAN


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"do_normalize": False, "image_mean": CLIP_MEAN}, ((0.0, 1.0), 0.0, 1.0)),
        ({"do_normalize": False, "do_rescale": False}, ((0.0, 255.0), 0.0, 1.0)),
        ({"do_rescale": False, "image_mean": [9.0] * 3}, ((0.0, 255.0), [9.0] * 3, [0.5] * 3)),
        ({"rescale_factor": 0.00784313725}, ((0.0, 2.0), [0.5] * 3, [0.5] * 3)),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, ((-1.0, 1.0), [0.5] * 3, [0.5] * 3)),
    ],
)
def test_what_black_and_white_become(said: dict[str, Any], wanted: tuple[Any, ...], tmp_path: Path) -> None:
    made = read(tmp_path, VIT | said)
    assert (made.range, made.mean, made.std) == wanted
    assert (made.fit, made.interpolation, made.asks) == ("stretch", "bilinear", [])


def test_a_drafted_card_gives_the_processors_pixels(tmp_path: Path) -> None:
    """The bits of transformers' own processor, by another way."""
    said = {
        "size": {"shortest_edge": 80},
        "crop_size": 64,
        "rescale_factor": 1 / 127.5,
        "image_std": [0.5] * 3,
    }
    made = read(tmp_path, said | {"image_processor_type": "CLIPImageProcessor"})
    (tmp_path / "x.toml").write_text(card_text(made, "X", "model.safetensors"))
    card = load_card(tmp_path / "x.toml", EncoderCard)
    film = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    theirs = CLIPImageProcessor(**said)(Image.fromarray(film).convert("RGB"), return_tensors="np")[
        "pixel_values"
    ][0]
    assert isinstance(card.image.frame, Fit)
    grey = card.image.frame.image_forward(film, 64).astype(float) / 255
    black, white = card.image.range
    for channel in range(3):
        ours = (grey * (white - black) + black - card.mean[channel]) / card.std[channel]
        # Their interpolation may differ in the last grey value.
        assert np.abs(ours - theirs[channel]).max() < 2.5 / 127.5 / card.std[channel]


@pytest.mark.parametrize(
    ("said", "ask"),
    [
        (VIT | {"resample": 0}, "interpolation: its processor's is nearest, which no card can say"),
        (VIT | {"resample": 4}, "interpolation: its processor's is box, which no card can say"),
        (VIT | {"do_grayscale": True}, "its processor also does do_grayscale, which no card can say"),
        (VIT | {"image_std": None, "image_processor_type": "X"}, "std: image_std of its processor says None"),
        (
            {"image_processor_type": "X", **SQUARE},
            "which processor is it? X is none that the library can make here",
        ),
        ({"image_processor_type": "X", **SQUARE}, "mean: image_mean of its processor says None"),
        ({"image_processor_type": "X", **SQUARE}, "interpolation: its processor does not say which"),
        ({"image_processor_type": "X", **SQUARE}, "range: its processor does not say by which factor"),
        ({**SQUARE}, "which processor is it? its type is not said"),
        (VIT | {"do_resize": False}, "fit: its processor neither crops nor stretches to one size"),
        (
            VIT | {"size": {"longest_edge": 64}, "image_processor_type": "X"},
            "fit: its processor neither crops",
        ),
        (
            VIT | {"do_center_crop": True, "crop_size": 96},
            "fit: its processor takes 96 px out of films of 64",
        ),
    ],
)
def test_what_a_card_cannot_say_is_asked(said: dict[str, Any], ask: str, tmp_path: Path) -> None:
    made = read(tmp_path, said)
    assert any(one.startswith(ask) for one in made.asks), made.asks
    (tmp_path / "x.toml").write_text(card_text(made, "X", "model.safetensors"))
    load_card(tmp_path / "x.toml", EncoderCard)


def test_a_crop_out_of_a_square_keeps_the_side_that_it_is_of(tmp_path: Path) -> None:
    said = {"do_center_crop": True, "crop_size": {"height": 64, "width": 64}}
    made = read(tmp_path, VIT | said | {"size": {"height": 80, "width": 80}})
    assert (made.fit, made.size, made.resize) == ("crop", 64, 80)
    [ask] = made.asks
    assert ask.startswith("fit: its processor stretches films to 80 x 80 and then takes the centre")


def test_convnext_crops_below_384_and_stretches_above(tmp_path: Path) -> None:
    kind = {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875}
    small = read(tmp_path, kind | {"size": {"shortest_edge": 224}})
    assert (small.fit, small.size, small.resize) == ("crop", 224, 256)
    large = read(tmp_path, kind | {"size": {"shortest_edge": 384}})
    assert (large.fit, large.size, large.resize) == ("stretch", 384, None)


def test_open_clips_defaults_and_modes() -> None:
    made = Draft()
    read_open_clip({}, made)
    assert (made.mean, made.std) == (CLIP_MEAN, CLIP_STD)
    assert (made.fit, made.interpolation, made.asks) == ("crop", "bicubic", [])
    for mode, fit in (("squash", "stretch"), ("longest", "letterbox")):
        made = Draft()
        read_open_clip({"resize_mode": mode, "mean": [0.5] * 3, "interpolation": "bilinear"}, made)
        assert (made.fit, made.mean, made.interpolation, made.asks) == (fit, [0.5] * 3, "bilinear", [])
    made = Draft()
    read_open_clip({"resize_mode": "longest", "fill_color": 127, "interpolation": "random"}, made)
    assert [ask.split(":")[0] for ask in made.asks] == ["fit", "interpolation"]


def test_what_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InputError, match=r"x\.json: is no JSON object"):
        read_object(tmp_path / "x.json")
    with pytest.raises(InputError, match=r"y\.json: cannot be read"):
        read_object(tmp_path / "y.json")
    made = Draft()
    read_processor(tmp_path, made)
    assert made.asks == ["mean, std, fit: there is no preprocessor_config.json"]


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "y.json")
    with pytest.raises(InputError, match=r"y\.json: cannot be read: .*is no regular file"):
        read_object(tmp_path / "y.json")
