"""Random numbers by name."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.seeds import digest, stream


def test_stream_depends_on_its_name_only() -> None:
    first = stream("a", 1).random(3)
    stream("b").random(100)
    assert np.array_equal(stream("a", 1).random(3), first)
    assert not np.array_equal(stream("a", 2).random(3), first)
    # Parts must not run into each other.
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("x", bits=32) < 2**32
