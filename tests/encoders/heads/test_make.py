"""Heads by name."""

from __future__ import annotations

import pytest
from image_text import SHAPE

from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError


def test_wrong_method_and_option() -> None:
    with pytest.raises(InputError, match="did you mean 'mgca'"):
        make_heads("mcga", **SHAPE)
    with pytest.raises(InputError, match="heads of convirt: got an unexpected keyword argument 'hidden'"):
        make_heads("convirt", **SHAPE, hidden=3)
