from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import doctor
from g2d_bench.encoders.doctor import diagnose, render
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

MakeCard = Callable[[str], EncoderCard]


def nothing(_: str) -> bool:
    return False


def test_healthy_file(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    path = saved("gloria.chexpert-r50")
    report = diagnose(small_card("gloria.chexpert-r50"), path, installed=nothing)
    assert report.ok
    assert report.warnings == ()
    assert [check.name for check in report.checks] == [
        *("deterministic", "frozen", "finite", "sees the image", "differs from its initialisation")
    ]
    text = render(report)
    assert f"weights     {path}" in text
    assert report.weights_hash in text
    assert "lightning: 318 of 318 entries loaded" in text
    assert "outside of the image encoder: 3" in text
    assert "32 px, upsampled inside to 40, (grey / 255 - 0.5) / 0.5" in text
    assert "64 x 20 x 20 at stride 2" in text
    assert "FAILED" not in text


def test_random_encoder_has_no_file(small_card: MakeCard) -> None:
    report = diagnose(small_card("random"), installed=nothing)
    assert report.ok
    assert report.load is None
    assert "none: random initialisation" in render(report)
    assert "layout" not in render(report)


@pytest.mark.parametrize(
    ("span", "mean", "said"),
    [
        ((0.0, 1.0), 0.5, "(grey / 255 - 0.5) / 2.0"),
        ((0.0, 255.0), 101.5, "(grey - 101.5) / 2.0"),
        ((-1.0, 1.0), 0.0, "(grey / 255 * 2 - 1 - 0.0) / 2.0"),
        ((-1024.0, 1024.0), [1.0, 2.0, 3.0], "(grey / 255 * 2048 - 1024 - [1.0, 2.0, 3.0]) / 2.0"),
        ((5.0, 260.0), 0.0, "(grey + 5 - 0.0) / 2.0"),
    ],
)
def test_the_input_is_told_as_it_is_computed(
    span: tuple[float, float], mean: float | list[float], said: str, small_card: MakeCard
) -> None:
    card = small_card("random")
    image = card.image.model_copy(
        update={"range": list(span), "mean": mean, "std": 2.0, "standardise": False}
    )
    card = card.model_copy(update={"image": image})
    report = diagnose(card, installed=nothing)
    assert f"input       {card.image.size} px, {said}" in render(report)
    # The stated formula, computed.
    grey = torch.full((1, image.size, image.size), 200, dtype=torch.uint8)
    first = mean[0] if isinstance(mean, list) else mean
    stated = eval(said.replace("grey", "200").replace("[1.0, 2.0, 3.0]", str(first)))
    assert float(load_encoder(card).preprocess(grey)[0, 0, 0, 0]) == pytest.approx(stated, rel=1e-6)


def test_absent_stage_and_dropped_entries_are_told(
    small_card: MakeCard, saved: Callable[[str], Path]
) -> None:
    text = render(diagnose(small_card("medklip.r50"), saved("medklip.r50"), installed=nothing))
    assert "258 of 258 entries loaded" in text
    assert "absent, as the card allows: 60 (layer4.0.conv1.weight, " in text
    text = render(diagnose(small_card("imagenet.r50"), saved("imagenet.r50"), installed=nothing))
    assert "left aside: 2" in text


def test_another_version_of_a_published_file(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    report = diagnose(small_card("biovil.r50"), saved("biovil.r50"), installed=nothing)
    assert report.ok
    assert len(report.warnings) == 1
    assert "md5 is not that of the published file (02ce6ee4" in report.warnings[0]
    assert "warning     the file's md5" in render(report)


def test_wrong_file_is_refused(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="fits no layout of the card"):
        diagnose(small_card("mgca.r50"), saved("biovil.r50"), installed=nothing)


def test_a_data_set_that_marks_nothing_is_asked_about(small_card: MakeCard) -> None:
    card = small_card("random").model_copy(update={"pretraining": ["rsna-pneumonia"]})
    report = diagnose(card, installed=nothing)
    assert "warning     pretraining: no data set is called 'rsna-pneumonia'" in render(report)


def test_rival_packages(small_card: MakeCard) -> None:
    both = {"onedl-mmengine", "mmengine", "onedl-mmcv"}
    report = diagnose(small_card("random"), installed=both.__contains__)
    assert len(report.warnings) == 1
    assert "onedl-mmengine and mmengine are both installed" in report.warnings[0]
    assert doctor._installed("torch")
    assert not doctor._installed("no-such-distribution-anywhere")


class _Sick(nn.Module):
    """Wraps a body so that it misbehaves."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("calls", torch.zeros(1))
        self.calls: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "moves":
            self.calls += 1
        if self.kind == "dice":
            return x + torch.randn_like(x)
        return x * {"nan": float("nan"), "blind": 0.0}.get(self.kind, 1.0)


@pytest.mark.parametrize(
    ("kind", "failed"),
    [("moves", "frozen"), ("dice", "deterministic"), ("nan", "finite"), ("blind", "sees the image")],
)
def test_each_illness_is_found(
    kind: str, failed: str, small_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(small_card("random"))
    body: nn.Module = encoder.image.body
    body.add_module("act1", _Sick(kind))
    monkeypatch.setattr(doctor, "load_encoder", lambda *_, **__: encoder)
    report = diagnose(small_card("random"), installed=nothing)
    assert failed in [check.name for check in report.checks if not check.ok]
    assert not report.ok
    assert f"FAILED      {failed}: " in render(report)


def test_features_like_the_initialisations(
    small_card: MakeCard, saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    card, path = small_card("g2d.r50"), saved("g2d.r50")
    encoder = load_encoder(card, checkpoint=path)
    monkeypatch.setattr(doctor, "build_image", lambda *_: encoder.image)
    report = diagnose(card, path, installed=nothing)
    assert [check.name for check in report.checks if not check.ok] == ["differs from its initialisation"]
