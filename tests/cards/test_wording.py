"""A text of the wrong form is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.errors import InputError

CARD = """
title = "m"
objective = "other"
scale = "published"
weights = "none"
{line}
[image]
model = "resnet50"
size = 224
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('name = "My Net"', "name: want MODEL or MODEL.TAG of small letters"),
        ('name = "a--b"', "name: want MODEL or MODEL.TAG of small letters"),
        ('sha256 = "xyz"', "sha256: want the sha256 of the weights file in hexadecimal digits (got 'xyz')"),
        ('licence_id = "MIT or so"', "licence_id: want an SPDX identifier"),
        ('terms = "http://example.org"', "terms: want an address that begins with https://"),
        ('pretraining = ["rsna", "x:label"]', "pretraining[1]: want the name of a data set"),
        (
            "[embeddings]\nspec = 'a sentence'\nfiles = {rsna = 'a/b.npz'}",
            "want a file beside the card",
        ),
    ],
)
def test_no_card_is_refused_by_a_regular_expression(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CARD.format(line=line))
    with pytest.raises(InputError) as caught:
        load_card(path, EncoderCard)
    assert said in str(caught.value)
    assert "pattern" not in str(caught.value)
