"""What a file leaves to the seed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import drawn
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.hashing import digest_file

MakeCard = Callable[[str], EncoderCard]
MakeState = Callable[[str], "OrderedDict[str, Tensor]"]


def lenient(card: EncoderCard, *patterns: str) -> EncoderCard:
    """Let the files of a card lack entries."""
    (layout, *_) = card.checkpoint
    layout = layout.model_copy(update={"missing_ok": list(patterns), "prefix": "", "drop": [], "expect": 9})
    return card.model_copy(update={"checkpoint": [layout]})


def test_seeds_are_part_of_weights_that_are_drawn_in_part(
    small_card: MakeCard, saved: Callable[[str], Path]
) -> None:
    card, file = small_card("medklip.r50"), saved("medklip.r50")
    first, second = (load_encoder(card, checkpoint=file, seed=seed) for seed in (1, 2))
    states = first.image.state_dict(), second.image.state_dict()
    moved = {name for name, value in states[0].items() if not torch.equal(value, states[1][name])}
    assert moved
    assert all(name.startswith("body.layer4.") for name in moved)
    assert [one.weights_hash for one in (first, second)] == [f"init:{digest_file(file)}:{n}" for n in (1, 2)]
    assert weights_digest(card, file, 2) == second.weights_hash


def test_what_is_missing_and_starts_alike_is_not_drawn(
    small_card: MakeCard, trained_state: MakeState, tmp_path: Path
) -> None:
    file = tmp_path / "x.pth"
    norms = {"bn1.weight", "layer4.0.bn1.weight"}
    torch.save({name: value for name, value in trained_state("resnet50").items() if name not in norms}, file)
    card = lenient(small_card("imagenet.r50"), "*bn1.weight")
    assert load_encoder(card, checkpoint=file).report is not None
    assert weights_digest(card, file, 1) == digest_file(file)


def test_a_file_that_lacks_nothing_keeps_its_digest(
    small_card: MakeCard, trained_state: MakeState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.pth"
    torch.save(trained_state("resnet50"), file)
    assert weights_digest(lenient(small_card("imagenet.r50"), "layer4.*"), file, 1) == digest_file(file)
    # It is opened only where the card lets weights be missing.
    monkeypatch.setattr(drawn, "drawn_by_seed", None)
    counters = lenient(small_card("imagenet.r50"), "*.num_batches_tracked")
    assert weights_digest(counters, file, 1) == digest_file(file)


def test_a_file_that_does_not_fit_is_refused_where_it_is_loaded(small_card: MakeCard, tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(b"nothing")
    assert weights_digest(small_card("medklip.r50"), file, 1) == digest_file(file)
