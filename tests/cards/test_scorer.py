"""Names of scorers on cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.errors import InputError


def test_none_ships_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    assert "bright" not in SCORERS
    card = tmp_path / "mine.toml"
    card.write_text(
        'title = "m"\nobjective = "other"\nscale = "published"\nweights = "none"\nscorer = "bright"\n'
        '[image]\nmodel = "resnet50"\nsize = 224\n'
    )
    with pytest.raises(InputError, match="scorer: unknown scorer 'bright'; no package here declares one"):
        load_card(card, EncoderCard)
