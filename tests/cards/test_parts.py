"""Heads and embeddings on a card."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.parts import HeadsOptions

BASE: dict[str, Any] = {"name": "mine", "title": "Mine", "objective": "other", "scale": "published"}
SPEC = {"spec": "a model of somebody, films as exported", "files": {"rsna": "x.npz"}}


def test_a_neck_stands_once() -> None:
    assert HeadsOptions.model_validate({"method": "clip", "neck": {"dim": 4}}).neck is not None
    with pytest.raises(ValidationError, match="the neck stands twice"):
        HeadsOptions.model_validate({"neck": {"dim": 4}, "options": {"neck": {"dim": 4}}})
    with pytest.raises(ValidationError, match=r"neck\.kind"):
        HeadsOptions.model_validate({"neck": {"dim": 4, "kind": "none"}})


def test_embeddings_need_no_image_and_bear_no_weights() -> None:
    card = EncoderCard.model_validate(BASE | {"embeddings": SPEC})
    assert (card.form, card.image.model) == ("embeddings", "embeddings")
    for more in ({"weights": "none"}, {"checkpoint": [{"layout": "x"}]}, {"decoder": True}):
        with pytest.raises(ValidationError, match="stand in the place of weights"):
            EncoderCard.model_validate(BASE | {"embeddings": SPEC} | more)
    with pytest.raises(ValidationError, match=r"embeddings\.files\.rsna"):
        EncoderCard.model_validate(BASE | {"embeddings": SPEC | {"files": {"rsna": "../x.npz"}}})
    with pytest.raises(ValidationError, match="image"):
        EncoderCard.model_validate(BASE | {"weights": "none"})
