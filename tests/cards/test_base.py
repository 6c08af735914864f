"""What all cards have in common."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from g2d_bench.cards.base import Card


def test_cards_are_read_without_torch() -> None:
    code = "import sys, g2d_bench.cards.encoder as _; assert not {'torch', 'numpy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


class Named(Card):
    """A card."""

    name: str


def test_nothing_unknown_and_nothing_changed() -> None:
    card = Named(name="a")
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Named.model_validate({"name": "a", "nam": "b"})
    with pytest.raises(ValidationError, match="Instance is frozen"):
        card.name = "b"
