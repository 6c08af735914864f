"""Drafts as cards."""

from __future__ import annotations

import tomllib
from pathlib import Path

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.draft_card import Draft, card_text


def test_what_is_known_stands_on_the_card(tmp_path: Path) -> None:
    made = Draft(model="resnet18", range=(0.0, 255.0), mean=[1.0, 2.0, 3.0], std=58.0, pool="mean")
    made.fit, made.interpolation, made.resize, made.size = "crop", "bicubic", 80, 64
    (tmp_path / "x.toml").write_text(card_text(made, "X", ""), encoding="utf-8")
    image = load_card(tmp_path / "x.toml", EncoderCard).image
    assert (image.range, image.mean, image.std) == ([0.0, 255.0], [1.0, 2.0, 3.0], 58.0)
    assert (image.pool, image.fit, image.interpolation, image.resize) == ("mean", "crop", "bicubic", 80)
    made = Draft(library="transformers", model="clip", text="library", length=77)
    said = tomllib.loads(card_text(made, "X", "model.safetensors"))
    assert said["text"] == {"source": "library", "max_length": 77}
    assert "checkpoint" not in said


def test_no_name_of_a_file_or_an_entry_leaves_its_place() -> None:
    made = Draft(model="resnet18", asks=["which? it begins with a\nscale = 'phantom'"])
    said = tomllib.loads(card_text(made, "Mine \U0001f600 \x7f \udcff", ""))
    assert said["title"] == "Mine \U0001f600 \\x7f \\udcff"
    assert said["scale"] == "published"
    made = Draft(library="open_clip", model="m", text="library", length="9\nlayers = 1")  # type: ignore[arg-type]
    assert tomllib.loads(card_text(made, "X", ""))["text"]["max_length"] == "9\nlayers = 1"
