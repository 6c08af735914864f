"""Work on strangers' files ends, whatever is in them."""

from __future__ import annotations

import os
import time

import pytest

from g2d_bench.cells.fence import fenced
from g2d_bench.data.splits import parse_fraction
from g2d_bench.errors import InputError


def test_what_comes_back_and_what_ends() -> None:
    assert fenced(max, 1, 2, seconds=60) == 2
    start = time.monotonic()
    with pytest.raises(InputError, match="took longer than 1 s"):
        fenced(time.sleep, 100, seconds=1)
    assert time.monotonic() - start < 60
    with pytest.raises(InputError, match="was killed"):
        fenced(os.abort, seconds=60)


def test_memory_has_an_end() -> None:
    with pytest.raises(InputError, match="more memory"):
        fenced(bytes, 1 << 36, seconds=60, memory=8 << 30)


def test_bad_input_is_handed_on() -> None:
    with pytest.raises(InputError, match="is not a fraction"):
        fenced(parse_fraction, "x", seconds=60)
