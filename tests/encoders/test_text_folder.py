from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.text_folder import absent, download_folder, needs_folder, text_digest, text_folder
from g2d_bench.errors import InputError


@pytest.fixture
def cards() -> dict[str, EncoderCard]:
    return {card.name: card for card in Catalogue.open().encoders}


def at(card: EncoderCard, source: str) -> EncoderCard:
    assert card.text is not None
    return card.model_copy(update={"text": card.text.model_copy(update={"source": source})})


def test_who_needs_a_folder(cards: dict[str, EncoderCard]) -> None:
    needy = {name for name, card in cards.items() if needs_folder(card)}
    assert needy == {
        *("biovil.r50", "convirt.benchx-r50", "g2d.r50", "gloria.chexpert-r50", "gloria.mimic-r50"),
        *("mgca.r50", "mgca.vit-b16", "biovil-t.r50", "medclip.r50", "medclip.swin-t", "cxr-clip.r50"),
        *("cxr-clip.swin-t", "biomedclip", "unimed-clip.b16", "chexzero", "medsiglip", "xraysiglip.b16-512"),
        *("mflag.r50", "xrayclip.b16-512"),
    }


def test_beside_the_file_goes_before_the_hub(
    cards: dict[str, EncoderCard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, file = cards["mgca.r50"], tmp_path / "x.ckpt"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    assert text_folder(card, file) is None
    assert text_digest(card, file) == "absent"
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda name, file: str(snapshot / file) if name == "emilyalsentzer/Bio_ClinicalBERT" else None,
    )
    assert text_folder(card, file) == snapshot
    (tmp_path / "Bio_ClinicalBERT").mkdir()
    assert text_folder(card, file) == tmp_path / "Bio_ClinicalBERT"


def test_folder_on_the_card(cards: dict[str, EncoderCard], tmp_path: Path) -> None:
    card = at(cards["biovil.r50"], f"local-dir:{tmp_path / 'bert'}")
    assert text_folder(card, tmp_path / "x.pt") is None
    assert (
        absent(card, tmp_path / "x.pt") == f"no folder {tmp_path / 'bert'} with the tokenizer of biovil.r50"
    )
    with pytest.raises(InputError, match=r"^no folder "):
        download_folder(card, tmp_path / "x.pt")
    (tmp_path / "bert").mkdir()
    assert text_folder(card, tmp_path / "x.pt") == tmp_path / "bert"


def test_digest_follows_what_is_read(cards: dict[str, EncoderCard], tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("a")
    bare, whole = (at(cards[name], f"local-dir:{folder}") for name in ("mgca.r50", "biovil.r50"))
    before = [text_digest(card, folder) for card in (bare, whole)]
    (folder / "README.md").write_text("x")
    assert [text_digest(card, folder) for card in (bare, whole)] == before
    # The weights in the folder are BioViL's text encoder; others bring theirs in the checkpoint.
    (folder / "pytorch_model.bin").write_text("x")
    assert text_digest(bare, folder) == before[0]
    assert text_digest(whole, folder) != before[1]
    (folder / "vocab.txt").write_text("ab")
    assert text_digest(bare, folder) != before[0]


def test_download_asks_for_no_more_than_is_read(
    cards: dict[str, EncoderCard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def fetch(name: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    for name in ("mgca.r50", "biovil.r50"):
        assert download_folder(cards[name], tmp_path / "x.pt") == tmp_path
    assert "pytorch_model.bin" not in asked[0]
    assert {"pytorch_model.bin", "config.json", "vocab.txt"} <= set(asked[1])


def test_found_without_torch() -> None:
    code = (
        "import sys, pathlib\n"
        "from g2d_bench.cards.catalogue import Catalogue\n"
        "from g2d_bench.cards.encoder import EncoderCard\n"
        "from g2d_bench.encoders.text_folder import text_digest\n"
        "from g2d_bench.paths import shipped\n"
        "text_digest(Catalogue.open().encoders['g2d.r50'], pathlib.Path('x'))\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
