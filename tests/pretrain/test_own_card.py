"""The card that a run leaves is ready to use, and is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.pretraining import sight
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.weights import weights_digest, weights_file
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file
from g2d_bench.paths import shipped
from g2d_bench.pretrain.own_card import card_name, write_card
from g2d_bench.pretrain.pretrain import pretrain


def test_a_run_leaves_a_card_that_loads_its_weights(go: Any, tmp_path: Path) -> None:
    made = go(tmp_path / "My Run", method="g2d", constants={"decoder": {"widths": [8, 8]}})
    assert made.encoder == tmp_path / "My Run" / "my-run.toml"
    card = Catalogue.open(encoder_dirs=(made.encoder.parent,)).encoders["my-run"]
    assert card.objective == "g2d"
    assert card.scale == "phantom"
    assert card.decoder
    assert card.pretraining == ["toy0"]
    assert weights_file(card) == made.weights
    assert weights_digest(card) == digest_file(made.weights)
    encoder = load_encoder(card)
    assert encoder.text is not None
    assert encoder.heads is not None
    assert encoder.decoder is not None
    assert encoder.heads.method == "g2d"
    recipe = made.card["recipe"]
    assert (card.image.size, card.image.options) == (recipe["size"], recipe["options"])
    image = torch.zeros((1, 32, 32), dtype=torch.uint8)
    assert encoder.image(encoder.preprocess(image)).pooled.shape == (1, 16)


def test_a_run_that_standardises_images_says_so_on_its_card(go: Any, tmp_path: Path) -> None:
    made = go(tmp_path / "even", standardise=True)
    card = load_card(made.encoder, EncoderCard)
    assert card.image.standardise
    encoder = load_encoder(card)
    image = torch.randint(0, 120, (2, 32, 32), dtype=torch.uint8)
    shown = encoder.image(encoder.preprocess(image)).pooled
    # Twice as bright and contrasted, it is the same to the encoder.
    torch.testing.assert_close(
        encoder.image(encoder.preprocess(2 * image + 5)).pooled, shown, rtol=1e-3, atol=1e-4
    )
    assert go(tmp_path / "as-it-is", standardise=False).card["recipe"].get("standardise") is None


def test_a_finished_run_keeps_its_card_and_a_lost_one_is_written_again(go: Any, tmp_path: Path) -> None:
    made = go(tmp_path / "run")
    text, card = made.encoder.read_text(), load_card(made.encoder, EncoderCard)
    made.encoder.write_text(text.replace("title = ", "title = 'Mine' #"))
    assert go(tmp_path / "run").encoder.read_text() != text
    made.encoder.unlink()
    written = go(tmp_path / "run").encoder
    # The run's own notes give the card's lines in another order.
    assert load_card(written, EncoderCard) == card


def test_only_a_card_of_the_run_is_taken_for_its_card(go: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("a-note", "run"):
        (tmp_path / "run" / f"{name}.toml").write_text('title = "notes"\n')
    made = go(tmp_path / "run", steps=2)
    assert made.encoder.name == "run-own.toml"
    assert load_card(made.encoder, EncoderCard).weights == made.weights.name
    # A variant of the card that sorts before it is not the run's own; where that is gone, it does.
    variant = made.encoder.with_name("a-variant.toml")
    variant.write_text(made.encoder.read_text())
    assert go(tmp_path / "run", steps=2).encoder == made.encoder
    made.encoder.unlink()
    assert go(tmp_path / "run", steps=2).encoder == variant
    with pytest.raises(InputError, match=r"a-note\.toml: --name: is no card of encoder\.safetensors; take"):
        pretrain("convirt", "no-data", out=tmp_path / "run", name="a-note")


def test_an_interrupted_run_keeps_the_name_that_was_asked_for(
    toy: Path, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"overrides": tiny, "device": "cpu", "cache": toy.parent / "cache"}

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("g2d_bench.pretrain.pretrain.fit", cut)
        with pytest.raises(KeyboardInterrupt):
            pretrain("convirt", str(toy), out=tmp_path / "run", name="mine", **arguments)
    assert pretrain("convirt", str(toy), out=tmp_path / "run", **arguments).encoder.name == "mine.toml"


@pytest.mark.parametrize(
    ("preset", "text", "parameters", "scale"),
    [
        ("phantom", "small", 500_000, "phantom"),
        ("phantom", "local-dir:bert", 500_000, "phantom"),
        ("phantom", "local-dir:bert", 23_000_000, "phantom"),
        ("paper", "local-dir:bert", 500_000, "phantom"),
        ("paper", "small", 23_000_000, "published"),
        ("paper", "local-dir:bert", 23_000_000, "published"),
    ],
)
def test_no_toy_passes_for_a_published_encoder(
    go: Any, tmp_path: Path, preset: str, text: str, parameters: int, scale: str
) -> None:
    made = go(tmp_path / "run", steps=2)
    said = made.card | {
        "preset": preset,
        "recipe": made.card["recipe"] | {"text": text},
        "parameters": {"image": parameters},
    }
    path = tmp_path / "run" / "other.toml"
    write_card(path, "convirt", made.weights, said)
    assert load_card(path, EncoderCard).scale == scale


def test_the_preset_that_was_asked_for_is_kept(toy: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    changes = tiny | {"model": "resnet18", "pretrained": False, "text": "small", "epochs": 0, "steps": 2}
    changes |= {"schedule": "cosine", "early_stop": 10**6, "frozen_layers": 0}
    made = pretrain(
        "convirt",
        str(toy),
        out=tmp_path / "run",
        preset="paper",
        overrides=changes,
        device="cpu",
        cache=toy.parent / "cache",
    )
    assert made.card["preset"] == "paper"
    assert load_card(made.encoder, EncoderCard).scale == "phantom"


@pytest.mark.parametrize(
    ("folder", "seen"),
    [
        ("rsna", "own/rsna"),
        ("RSNA", "own/RSNA"),
        ("mimic-cxr", "own/mimic-cxr"),
        ("phantom", "own/phantom"),
        ("clinic", "clinic"),
    ],
)
def test_a_folder_of_ones_own_passes_for_no_data_set(
    go: Any, toy_writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, seen: str
) -> None:
    monkeypatch.chdir(tmp_path)
    toy_writer(Path(folder))
    card = load_card(go(tmp_path / "run", data=Path(f"./{folder}").resolve(), steps=2).encoder, EncoderCard)
    assert card.pretraining == [seen]
    marked = {name for name in ("rsna", "mimic-cxr") if sight(card.pretraining, name, "real")}
    assert not marked
    assert not sight(card.pretraining, "mimic-cxr", "phantom")


def test_a_name_of_ones_own(toy: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    def run(name: str = "") -> Path:
        arguments: dict[str, Any] = {"overrides": tiny, "device": "cpu", "cache": toy.parent / "cache"}
        return pretrain("convirt", str(toy), out=tmp_path / "run", name=name, **arguments).encoder

    assert run("convirt-2.small").name == "convirt-2.small.toml"
    assert run().name == "convirt-2.small.toml", "a run that is taken up keeps the name that it has"
    assert [path.name for path in (tmp_path / "run").glob("*.toml")] == ["convirt-2.small.toml"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("g2d", "g2d-own"),
        ("mgca.r50", "mgca-r50"),
        ("Ünï cödé 2", "n-c-d-2"),
        ("---", "own"),
        ("x" * 200, "x" * 40),
    ],
)
def test_names_follow_the_folder(folder: str, name: str) -> None:
    found = card_name(Path("/runs") / folder)
    assert found == name
    assert not (shipped("baselines") / f"{found}.toml").exists()


def test_a_copied_card_takes_no_shipped_weights(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text((shipped("baselines") / "convirt.toml").read_text())
    card = load_card(copy, EncoderCard)
    with pytest.raises(InputError) as caught:
        weights_file(card)
    assert str(caught.value) == (
        "mine: no convirt.safetensors beside the card, and a card of your own takes no shipped weights; "
        "put it there, or give --checkpoint mine=FILE"
    )
    own = load_card(shipped("baselines") / "convirt.toml", EncoderCard)
    assert own.folder is None
    assert own.digest == card.model_copy(update={"name": "convirt"}).digest, "the place is no part of it"
    file = weights_file(own)
    assert file is not None
    # What the user names or puts beside the card is taken, be it the same bytes.
    assert weights_file(card, file) == file
    (tmp_path / "convirt.safetensors").write_bytes(file.read_bytes())
    assert weights_file(card) == tmp_path / "convirt.safetensors"
    copy.write_text(copy.read_text().replace("convirt.safetensors", "no-such.safetensors"))
    with pytest.raises(InputError, match=r"no no-such\.safetensors beside the card; put it there"):
        weights_file(load_card(copy, EncoderCard))
