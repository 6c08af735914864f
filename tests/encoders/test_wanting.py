"""What an encoder lacks, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.wanting import origin, wanting


def card(**changes: Any) -> EncoderCard:
    base = {"name": "mine", "title": "Mine", "objective": "other", "scale": "published", "weights": "none"}
    image = {"model": "resnet50", "size": 224}
    return EncoderCard.model_validate(base | {"image": image} | changes)


def test_weights_and_terms() -> None:
    assert wanting(card()) == (True, "")
    layouts = [{"layout": "a", "note": "a.pth of somebody/a"}, {"layout": "b", "note": "b.pth"}]
    one = card(weights="", checkpoint=layouts)
    assert wanting(one) == (False, "a.pth of somebody/a; then --checkpoint mine=FILE")
    terms = {"terms": "https://example.org/terms", "source": "the hub"}
    assert origin(card(**terms)) == "the hub (terms: https://example.org/terms)"
    assert origin(card(**terms, gated=True)) == "the hub (accept the terms at https://example.org/terms)"
    assert origin(card(gated=True)) == "accept its publisher's terms"
    named = card(weights="x.safetensors")
    usable, line = wanting(named)
    assert not usable
    assert line.startswith("x.safetensors is not in this installation")


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("g2d_bench.encoders.wanting.find_spec", lambda name: None)
    assert wanting(card()) == (False, "timm is not installed: pip install 'g2d-bench[encoders]'")


def test_a_text_side_without_its_tokenizer_runs_all_the_same(tmp_path: Path) -> None:
    one = Catalogue.open().encoders["gloria.chexpert-r50"]
    file = tmp_path / "x.ckpt"
    file.write_bytes(b"x")
    usable, line = wanting(one, file)
    assert usable
    assert line.startswith("for texts: the tokenizer of emilyalsentzer/Bio_ClinicalBERT, in a folder")
    (tmp_path / "Bio_ClinicalBERT").mkdir()
    assert wanting(one, file) == (True, "")
