from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders import doctor_text
from g2d_bench.encoders.doctor import diagnose, render
from g2d_bench.encoders.load import load_encoder

MakeRelease = Callable[..., Any]
WIDTH = 16


@pytest.mark.parametrize("name", ["gloria.chexpert-r50", "convirt.benchx-r50", "mgca.vit-b16", "biovil.r50"])
def test_doctor_looks_at_the_text_side(name: str, release: MakeRelease) -> None:
    made = release(name)
    report = diagnose(made.card, made.file, installed=lambda _: False)
    assert report.ok, render(report)
    assert [check.name for check in report.checks][5:] == [
        *("text deterministic", "text finite", "reads the text"),
        *("text differs from its initialisation", "heads differ from their initialisation"),
    ]
    text = render(report)
    assert f"text        local-dir:{made.folder}" in text
    assert f"width {WIDTH}" in text
    assert "the card has these names from the code of the release, not from a file" in text
    assert f"heads       {name.split('.')[0]}, " in text
    assert "compared with words" in text or name in ("convirt.benchx-r50", "biovil.r50")
    if name.startswith("mgca"):
        assert "of no part that is read: 1 (prototype_layer.weight)" in text
        assert "text encoder, left aside: 2 (" in text


def test_doctor_sees_an_untrained_text_side(release: MakeRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    made = release("gloria.chexpert-r50")
    encoder = load_encoder(made.card, checkpoint=made.file)
    monkeypatch.setattr(doctor_text, "initial_text", lambda *_: encoder.text)
    monkeypatch.setattr(doctor_text, "initial_heads", lambda *_: encoder.heads)
    report = diagnose(made.card, made.file, installed=lambda _: False)
    assert [check.name for check in report.checks if not check.ok] == [
        *("text differs from its initialisation", "heads differ from their initialisation")
    ]


def test_doctor_reports_the_shipped_text_side() -> None:
    card = Catalogue.open().encoders["mgca"]
    text = render(diagnose(card, installed=lambda _: False))
    assert "text        small" in text
    assert "ok          reads the text: two texts differ by " in text
    assert "128 dimensions in common" in text
