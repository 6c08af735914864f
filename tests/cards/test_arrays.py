"""Rules of arrays, as kinds declare them."""

from __future__ import annotations

import pytest

from g2d_bench.cards.arrays import Rule, count
from g2d_bench.cards.kind import KINDS


def test_counts_may_be_undefined_and_never_negative() -> None:
    rule = count("N", 3)
    assert (rule.axes, rule.nan, rule.low) == (("N", 3), True, 0.0)


@pytest.mark.parametrize("name", KINDS.names)
def test_every_kind_declares_what_its_truth_is_made_of(name: str) -> None:
    kind = KINDS[name]
    assert set(kind.truth) <= set(kind.arrays)
    assert kind.expected is not None
    for rule in kind.arrays.values():
        assert isinstance(rule, Rule)
        assert set(rule.kinds) <= set("biufU")
    # Whoever says which images show a label says so of every one of them.
    assert (kind.shown is None) == (not kind.positives)
    if kind.reduced is not None:
        assert kind.reduced.array in kind.arrays
