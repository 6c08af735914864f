"""A recipe that cannot be is refused before anything is read or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.cli.main import main
from g2d_bench.errors import InputError
from g2d_bench.pretrain.augment import PHANTOM, plain
from g2d_bench.pretrain.objective import VARIANTS
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.recipe_check import check_options


@pytest.mark.parametrize("method", OBJECTIVES.names)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("preset", ["paper", "phantom"])
def test_every_preset_passes(method: str, variant: str, preset: str) -> None:
    assert recipe(method, preset=preset, variant=variant).method == method


def test_values_become_what_fields_hold() -> None:
    made = recipe(
        "convirt", overrides={"betas": [0.8, 0.9], "lr": 1, "augment": {"flip": 0.5, "crop": [0.9, 1]}}
    )
    assert made.betas == (0.8, 0.9)
    assert made.augment.crop == pytest.approx((0.9, 1))
    assert made.augment.flip == 0.5
    assert made.augment.blur == PHANTOM.blur


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch=0", "--set batch: Input should be greater than or equal to 2 (got 0)"),
        ("batch=-5", "--set batch: Input should be greater than or equal to 2 (got -5)"),
        ("batch=2.5", "--set batch: Input should be a valid integer (got 2.5)"),
        ('batch="8"', "--set batch: Input should be a valid integer (got '8')"),
        ("batch=true", "--set batch: Input should be a valid integer (got True)"),
        ("lr=nan", "--set lr: Input should be a finite number (got nan)"),
        ("lr=inf", "--set lr: Input should be a finite number (got inf)"),
        ("lr=-1e-3", "--set lr: Input should be greater than or equal to 0 (got -0.001)"),
        ("size=0", "--set size: Input should be greater than or equal to 32 (got 0)"),
        ("size=1000000", "--set size: Input should be less than or equal to 2048 (got 1000000)"),
        ("store=1000000", "--set store: Input should be less than or equal to 4096 (got 1000000)"),
        ("warmup=5", "--set warmup: Input should be less than or equal to 1 (got 5)"),
        ("betas=[0.9]", "--set betas: Field required"),
        ("betas=[0.9, 1.0]", "--set betas: Input should be less than 1 (got 1.0)"),
        ("betas=" + "[" * 30 + "]" * 30, "--set betas: "),
        ("betas=" + "[" * 5000 + "]" * 5000, "is not KEY=VALUE (nested too deeply)"),
        ("steps=" + "9" * 5000, "is not KEY=VALUE (Exceeds the limit"),
        ("steps=0", "--set: give steps or epochs; both are 0"),
        ("steps=-1", "--set steps: Input should be greater than or equal to 0 (got -1)"),
        ("accumulate=0", "--set accumulate: Input should be greater than or equal to 1 (got 0)"),
        ("clip=-1", "--set clip: Input should be greater than 0 (got -1)"),
        ("clip=0", "--set clip: Input should be greater than 0 (got 0)"),
        ("store=100", "--set: store 100 is smaller than size 128, which is cropped from it"),
        ("max_length=1", "--set max_length: Input should be greater than or equal to 4 (got 1)"),
        ("std=[0.5, 0.5, 0]", "--set std: Input should be greater than 0 (got 0)"),
        ("mean=0.5", "--set mean: Input should be a valid tuple (got 0.5)"),
        ('schedule="restarts"', "--set: schedule 'restarts' needs a period of 1 step or more"),
        ('schedule="linear"', "--set schedule: Input should be 'cosine', 'restarts' or 'plateau'"),
        ('text="tiny"', "--set text: want small, hf-hub:ORGANISATION/MODEL or local-dir:FOLDER (got 'tiny')"),
        ("text_options={hidden=130, heads=4}", "--set text_options: 4 heads do not divide a width of 130"),
        ("text_options={hidden=1000000}", "--set text_options.hidden: Input should be less than or equal"),
        ("text_options={hiden=8}", "--set text_options.hiden: Extra inputs are not permitted"),
        ("options=3", "--set options: Input should be a valid dictionary (got 3)"),
        ("options={channels=[8, 8, 8, -8]}", "image.options: timm's resnet18 refuses"),
        ("heads={dim=-4}", "--set heads.dim: must be a whole number from 1 to 1,000,000, not '-4'"),
        ("heads={dim=0}", "--set heads.dim: must be a whole number from 1 to 1,000,000, not '0'"),
        ("heads={dim=[]}", "--set heads.dim: must be a whole number from 1 to 1,000,000, not '[]'"),
        ('heads={pooling="mean"}', "--set heads.pooling: must be 'max' or 'pooler', not 'mean'"),
        ("heads={dims=4}", "heads: heads of convirt: "),
        (
            "constants={temperature=[]}",
            "--set constants.temperature: must be a number from 1e-06 to",
        ),
        (
            "constants={temperature=0}",
            "--set constants.temperature: must be a number from 1e-06 to",
        ),
        (
            "constants={image_weight=inf}",
            "--set constants.image_weight: must be a number from 0 to",
        ),
        (
            "constants={gather_negatives=1}",
            "--set constants.gather_negatives: must be true or false",
        ),
        ("constants={tmperature=1}", "--set heads, constants: not built: "),
        ("augment={flip=2}", "--set augment.flip: Input should be less than or equal to 1 (got 2)"),
        ("augment={flop=1}", "--set augment.flop: unknown; did you mean 'flip'?"),
        ("augment={crop=[1.0, 0.5]}", "--set augment: crop must rise, not go from 1.0 to 0.5"),
        ("augment=3", "--set augment: "),
        ('method="g2d"', "--set method: is given by --encoder"),
        ('variant="released"', "--set variant: is given by --variant"),
        ("bach=3", "a recipe has no 'bach'; did you mean 'batch'?"),
    ],
)
def test_out_of_range_is_one_line_and_leaves_nothing(
    change: str, message: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(["--set", change], message, toy, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("method", "part", "options", "message"),
    [
        ("gloria", "heads", {"last_layers": "2"}, "heads.last_layers: must be a whole number from 1 to"),
        ("gloria", "heads", {"last_layers": 0}, "heads.last_layers: must be a whole number from 1 to"),
        ("mgca", "heads", {"hidden": 0}, "heads.hidden: must be a whole number from 1 to"),
        (
            "mgca",
            "heads",
            {"word_weights": "x"},
            "heads.word_weights: must be 'aligned' or",
        ),
        ("mgca", "constants", {"prototypes": 0}, "constants.prototypes: must be a whole number from 1 to"),
        ("mgca", "constants", {"weights": [1, 1]}, "constants.weights: must be 3 numbers from 0 to"),
        ("gloria", "constants", {"block": "x"}, "constants.block: must be a whole number from 0 to"),
        ("gloria", "constants", {"block": -4}, "constants.block: must be a whole number from 0 to"),
        ("g2d", "constants", {"alignment_steps": 1.5}, "constants.alignment_steps: must be a whole number"),
        ("g2d", "constants", {"loss": "dice"}, "constants.loss: must be 'paper' or 'released', not 'dice'"),
        (
            "g2d",
            "constants",
            {"decoder": {"norm": "x"}},
            "constants.decoder.norm: must be 'batch' or 'group'",
        ),
        (
            "g2d",
            "constants",
            {"pseudo_mask": {"bins": 1.5}},
            "pseudo_mask.bins: must be a whole number from 1",
        ),
        (
            "g2d",
            "constants",
            {"pseudo_mask": {"bins": 10**11}},
            "pseudo_mask.bins: must be a whole number from",
        ),
        ("g2d", "constants", {"pseudo_mask": {"bins": 10**6}}, "pseudo_mask.bins: must be 65,536 at most"),
        ("g2d", "constants", {"pseudo_mask": {"head": 9}}, "pseudo_mask.head: there is no head 9"),
    ],
)
def test_options_of_heads_and_objectives_are_held_against_their_classes(
    go: Any, tmp_path: Path, method: str, part: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        go(tmp_path / "out", method, **{part: options})
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_defaults_and_negative_ones_pass() -> None:
    class Foreign:
        def __init__(
            self, *, bias: float = -10.0, level: int = -2, scale: float = 3, size: int | str = 1
        ) -> None:
            """Has options of its own."""

    check_options({"bias": -4.5, "level": -1, "scale": 0.5, "size": "half"}, Foreign, "constants")
    with pytest.raises(InputError, match=r"constants\.level: must be a whole number from -1,000,000 to"):
        check_options({"level": -1.5}, Foreign, "constants")


def test_the_stored_film_grows_and_shrinks_with_the_input() -> None:
    assert (recipe("convirt").size, recipe("convirt").store) == (128, 144)
    assert recipe("convirt", overrides={"size": 224}).store == 252
    assert recipe("convirt", overrides={"size": 64}).store == 72
    assert recipe("convirt", overrides={"size": 224, "store": 224}).store == 224
    assert recipe("g2d", preset="paper", variant="released").store == 256
    # What validation and retrieval see of a film is its middle, and never a frame around it.
    made = recipe("convirt", overrides={"size": 224})
    film = torch.full((1, made.store, made.store), 200, dtype=torch.uint8)
    assert (plain(film, made.size, share=made.size / made.store) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu9"], "--device: 'tpu9' is none of cpu, cuda and cuda:N"),
        (["--device", "cuda:-1"], "--device: 'cuda:-1' is none of cpu, cuda and cuda:N"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295."),
        (["--seed", str(1 << 64)], "Invalid value for '--seed'"),
        (["--save-every", "0"], "Invalid value for '--save-every'"),
        (["--name", "g2d"], "--name: 'g2d' is a shipped encoder's name"),
        (["--name", "My Encoder"], "--name: 'My Encoder' is no name of an encoder"),
    ],
)
def test_options_out_of_range(
    arguments: list[str], message: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(arguments, message, toy, tmp_path, monkeypatch)


def _refused(
    arguments: list[str], message: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("g2d_bench.progress.FIRST", float("inf"))
    out = tmp_path / "out"
    call = ["pretrain", "--objective", "convirt", "--data", str(toy), "--out", str(out), *arguments]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("g2d-bench: ")
    assert message in line
    assert len(line) < 500
    assert not out.exists()


def test_a_seed_is_checked_without_the_command_line_too(toy: Path, tmp_path: Path) -> None:
    from g2d_bench.pretrain.pretrain import pretrain

    with pytest.raises(InputError, match="--seed: must lie between 0 and 4294967295, not -1"):
        pretrain("convirt", str(toy), out=tmp_path / "out", seed=-1)


@pytest.mark.parametrize("value", ["x", "-1", "²"])
def test_what_torchrun_would_say(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from g2d_bench.pretrain.distributed import world

    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(InputError, match=r"WORLD_SIZE: .* is no number of processes"), world("cpu"):
        pass
