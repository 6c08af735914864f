"""Heads by name."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError

WIDTH, TEXT = (6, 8, 10), 12
SHAPE: dict[str, Any] = {"channels": WIDTH, "strides": (8, 16, 32), "num_features": 10, "text_width": TEXT}


def test_wrong_method_and_option() -> None:
    with pytest.raises(InputError, match="did you mean 'mgca'"):
        make_heads("mcga", **SHAPE)
    with pytest.raises(InputError, match="heads of convirt: got an unexpected keyword argument 'hidden'"):
        make_heads("convirt", **SHAPE, hidden=3)
