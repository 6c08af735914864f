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


def test_a_stream_begins_anew_on_a_generator_that_another_one_used() -> None:
    key = digest("fresh")
    expected = np.random.Generator(np.random.Philox(key=key))
    numbers = [expected.random(), int(expected.integers(0, 7)), *expected.random(3).tolist()]
    for used in range(5):
        other = stream("other", used)
        # Half a word, and part of a block, are left over.
        other.integers(0, 5)
        other.random(used)
        del other
        fresh = stream("fresh")
        assert [fresh.random(), fresh.integers(0, 7), *fresh.random(3).tolist()] == numbers


def test_streams_that_live_together_do_not_share_a_generator() -> None:
    alone = [stream("pair", number).random(6).tolist() for number in range(3)]
    pairs = [stream("pair", number) for number in range(3)]
    together = [[one.random() for one in pairs] for _ in range(6)]
    assert np.array(together).T.tolist() == alone
