"""Where weights are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from refusing import refusal

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import weights as weights_module
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.weights import check_hash, weights_digest, weights_file, weights_state
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file

MakeCard = Callable[[str], EncoderCard]


def test_where_weights_are_looked_for(
    small_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "PACKAGE", tmp_path)
    card = small_card("g2d")
    assert weights_file(small_card("random")) is None
    assert weights_state(small_card("random")) == (True, "")
    usable, reason = weights_state(card)
    assert not usable
    assert reason == "g2d: g2d.safetensors is not in this installation; `make weights` makes it"
    shipped = tmp_path / "weights" / "g2d.safetensors"
    shipped.parent.mkdir()
    shipped.write_bytes(b"x")
    assert weights_state(card) == (True, "")
    assert weights_file(card) == shipped
    assert weights_state(card, tmp_path / "absent")[1] == f"{tmp_path / 'absent'}: no such file"
    assert weights_state(card, tmp_path)[1] == f"{tmp_path}: not a file"
    usable, reason = weights_state(small_card("mgca.r50"))
    assert not usable
    assert reason == "mgca.r50: published weights are not shipped; give --checkpoint mgca.r50=FILE"


def test_digest_follows_the_file(small_card: MakeCard, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    first = weights_digest(small_card("g2d"), path)
    path.write_bytes(b"three")
    assert weights_digest(small_card("g2d"), path) == digest_file(path) != first


def test_imagenet_weights_come_from_the_hub_cache(
    small_card: MakeCard, saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    card = small_card("imagenet.r50")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    assert "is not in the Hugging Face cache; run `g2d-bench doctor" in weights_state(card)[1]

    def offline(*_: object, **__: object) -> str:
        raise OSError("offline mode is enabled\nmore advice")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    text = refusal(lambda: load_encoder(card, download=True))
    assert text.endswith("neither from the cache nor by network: offline mode is enabled")
    file = saved("imagenet.r50")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(file))
    assert load_encoder(card, download=True).weights_hash == digest_file(file)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(file))
    assert weights_state(card) == (True, "")
    report = load_encoder(card, download=True).report
    assert report is not None
    assert report.dropped == ("fc.weight", "fc.bias")


def test_state_of_weights_is_told_without_torch() -> None:
    code = (
        "import sys, pathlib\n"
        "from g2d_bench.cards.catalogue import Catalogue\n"
        "from g2d_bench.cards.encoder import EncoderCard\n"
        "from g2d_bench.encoders.weights import weights_state\n"
        "from g2d_bench.paths import shipped\n"
        "for card in Catalogue.open().encoders:\n"
        "    weights_state(card)\n"
        "assert 'torch' not in sys.modules and 'timm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def test_a_hub_file_is_looked_for_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    asked: list[tuple[str, str, str | None]] = []

    def look(repository: str, file: str, revision: str | None = None) -> str | None:
        asked.append((repository, file, revision))
        return None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", look)
    card = hub_card(
        "hf-hub:somebody/model@v1:weights/model.safetensors", gated=True, terms="https://x.org/terms"
    )
    with pytest.raises(
        InputError, match=r"after its terms were accepted at https://x.org/terms, or give a file"
    ):
        weights_file(card)
    assert asked == [("somebody/model", "weights/model.safetensors", "v1")]


def hub_card(weights: str, **more: object) -> EncoderCard:
    image = {"library": "transformers", "model": "dinov2", "size": 32}
    said = {"name": "mine", "title": "Mine", "objective": "other", "scale": "published"}
    return EncoderCard.model_validate({**said, "weights": weights, "image": image, **more})


def test_a_folder_stands_for_the_weights_in_it(tmp_path: Path) -> None:
    card = hub_card("hf-hub:somebody/model:model.safetensors")
    with pytest.raises(InputError, match=r"a folder without model.safetensors or pytorch_model.bin"):
        weights_file(card, tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    assert weights_file(card, tmp_path) == file
    alone = weights_digest(card, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    told = weights_digest(card, tmp_path)
    (tmp_path / "config.json").write_text('{"layers": 2}')
    assert len({alone, told, weights_digest(card, tmp_path)}) == 3


@pytest.mark.parametrize("library", ["open_clip", "open-clip"])
def test_a_library_is_one_however_a_card_spells_it(tmp_path: Path, library: str) -> None:
    card = hub_card("none")
    card = card.model_copy(update={"image": card.image.model_copy(update={"library": library})})
    file = tmp_path / "open_clip_model.safetensors"
    file.write_bytes(b"x")
    assert weights_file(card, tmp_path) == file
    alone = weights_digest(card, tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert weights_digest(card, tmp_path) != alone


def test_weights_in_several_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"model.safetensors.index.json: weights in several files, which are"
    ):
        weights_file(hub_card("none"), tmp_path)


def test_another_file_than_the_cards_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    check_hash(hub_card("none", sha256=digest_file(file)), file)
    check_hash(hub_card("none"), file)
    with pytest.raises(InputError, match=r"sha256: is not the file of the card: sha256"):
        check_hash(hub_card("none", sha256="00" * 32), file)
