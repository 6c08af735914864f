"""Cards that are drafted from files: what is told of a file, and that the card loads it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.draft import draft
from g2d_bench.encoders.draft_card import card_text
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError


def model(name: str, **options: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    return dict(timm.create_model(name, num_classes=0, **options).state_dict())


FILES: list[tuple[str, dict[str, Any], str, str]] = [
    ("resnet50", {"channels": [8, 8, 8, 8]}, "module.image_encoder.", "resnet50"),
    ("resnet18", {"channels": [8, 8, 8, 8]}, "", "resnet18"),
    ("resnet34", {"channels": [8, 8, 8, 8]}, "net.", "resnet34"),
    ("vit_tiny_patch16_224", {"depth": 2, "img_size": 32}, "visual.", "vit_tiny_patch16_224"),
    ("vit_small_patch14_dinov2", {"depth": 2, "img_size": 56}, "teacher.", "vit_small_patch14_dinov2"),
]


@pytest.mark.parametrize(("name", "options", "prefix", "told"), FILES)
def test_a_drafted_card_loads_the_file_that_it_was_drafted_from(
    name: str, options: dict[str, Any], prefix: str, told: str, tmp_path: Path
) -> None:
    state = {prefix + key: value for key, value in model(name, **options).items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}}}, tmp_path / "my.ckpt")
    made = draft(tmp_path / "my.ckpt")
    assert (made.model, made.container) == (told, "state_dict")
    assert any(ask.startswith("mean and std") for ask in made.asks)
    (tmp_path / "mine.toml").write_text(card_text(made, "My model", ""))
    card = load_card(tmp_path / "mine.toml", EncoderCard)
    encoder = load_encoder(card, checkpoint=tmp_path / "my.ckpt")
    assert encoder.report is not None
    assert encoder.report.matched == len(state)
    first = next(iter(state))
    loaded = encoder.image.body.state_dict()[first.removeprefix(prefix)]
    assert torch.equal(loaded, state[first])


def test_what_stands_beside_the_image_encoder_is_told(tmp_path: Path) -> None:
    state = {f"img.{key}": value for key, value in model("resnet50", channels=[8] * 4).items()}
    state |= {"img.fc.weight": torch.ones(3, 32), "proj.weight": torch.ones(4, 32), "bert.x": torch.ones(2)}
    save_file(state, tmp_path / "m.safetensors")
    made = draft(tmp_path / "m.safetensors")
    assert (made.prefix, made.drop) == ("img.", ["fc.*"])
    [line] = [ask for ask in made.asks if "stand outside" in ask]
    assert line.startswith("2 entries stand outside of the image encoder (")
    assert "projections may be proj" in line


def test_wrappers_conversions_and_several_state_dicts_are_told(tmp_path: Path) -> None:
    names = model("vit_tiny_patch16_224", depth=2, img_size=32)
    torch.save({"model": names, "ema": dict(list(names.items())[:5])}, tmp_path / "a.pth")
    asks = draft(tmp_path / "a.pth").asks
    assert any("other state dicts, too (ema): is 'model' the one" in ask for ask in asks)
    torch.save({f"module._orig_mod.{key}": value for key, value in names.items()}, tmp_path / "b.pth")
    made = draft(tmp_path / "b.pth")
    assert made.prefix == ""
    assert "_orig_mod. and module. stands in its names, and is taken off" in made.asks
    clip = {"visual.transformer.resblocks.0.attn.in_proj_weight": torch.ones(6, 2)}
    torch.save(clip, tmp_path / "c.pth")
    made = draft(tmp_path / "c.pth")
    assert (made.model, made.convert) == ("", "openai-clip")
    assert any(ask.startswith("which model is it?") for ask in made.asks)


def test_a_model_of_another_width_and_pool_asks(tmp_path: Path) -> None:
    options: dict[str, Any] = {"depth": 2, "img_size": 32, "embed_dim": 24}
    state = model("vit_tiny_patch16_224", **options, class_token=False, global_pool="avg")
    torch.save(state, tmp_path / "w.pth")
    made = draft(tmp_path / "w.pth")
    assert made.options["embed_dim"] == 24
    assert made.options["class_token"] is False
    assert any("num_heads" in ask for ask in made.asks)
    assert any("no class token" in ask for ask in made.asks)


def test_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(InputError, match="a web page in place of the file"):
        draft(tmp_path / "x.pth")


def test_the_command_writes_the_card_and_looks_it_over(tmp_path: Path, cli: Callable[..., Any]) -> None:
    save_file(model("resnet18", channels=[8] * 4), tmp_path / "My_Net.safetensors")
    done = cli("add-encoder", tmp_path / "My_Net.safetensors")
    assert done.exit_code == 0, done.output
    card = tmp_path / "my-net.toml"
    assert f"wrote {card}" in done.stdout
    assert "could not know: pretraining: which data sets did it see" in done.stdout
    assert re.search(r"expect = \d+ in the card's layout 'drafted' would pin it", done.stdout)
    assert "ok          differs from its initialisation" in done.stdout
    again = cli("add-encoder", tmp_path / "My_Net.safetensors")
    assert again.exit_code == 2
    assert "is there already; give another --name" in again.stderr
    for arguments, message in (
        (("--name", "My Net"), "is no name of an encoder"),
        (("--name", "x", "--out", tmp_path / "no" / "such"), "no such folder"),
    ):
        wrong = cli("add-encoder", tmp_path / "My_Net.safetensors", *arguments)
        assert wrong.exit_code == 2
        assert message in wrong.stderr
    torch.save({"a.b": torch.ones(2)}, tmp_path / "odd.pth")
    odd = cli("add-encoder", tmp_path / "odd.pth")
    assert odd.exit_code == 2
    assert "which model it is must be filled in" in odd.stderr
    assert 'model = "FILL-IN"' in (tmp_path / "odd.toml").read_text()


def test_what_its_reader_refuses_is_not_left_behind(tmp_path: Path, cli: Callable[..., Any]) -> None:
    save_file(model("vit_tiny_patch16_224", depth=1, img_size=16), tmp_path / "m.safetensors")
    for _ in range(2):
        done = cli("add-encoder", tmp_path / "m.safetensors", "--out", tmp_path / "cards")
        assert done.exit_code == 2
        assert (
            "m.toml: no card can be drafted: image.size: Input should be greater than or equal to 32"
            in done.stderr
        )
        assert not (tmp_path / "cards").exists()


def test_the_command_that_follows_can_be_pasted(tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "my files"
    folder.mkdir()
    save_file(model("resnet18", channels=[8] * 4), folder / "My Net (1).safetensors")
    done = cli("add-encoder", folder / "My Net (1).safetensors")
    assert done.exit_code == 0, done.output
    [command] = [line for line in done.stdout.splitlines() if line.startswith("g2d-bench doctor")]
    assert "--checkpoint" in command
    assert cli(*shlex.split(command)[1:]).exit_code == 0
