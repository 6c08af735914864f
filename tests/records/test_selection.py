"""Which records pass: one rule for every command."""

from __future__ import annotations

import pytest

from g2d_bench.cards.kind import KINDS, untrained
from g2d_bench.records.cell import Cell
from g2d_bench.records.selection import Filter

TRAINED = Cell("siim-seg", 0.1, "clean", 1, "g2d")
FREE = Cell("siim-zeroshot", 1.0, "clean", 0, "g2d")


@pytest.mark.parametrize("kind", [name for name in KINDS if untrained(name)])
@pytest.mark.parametrize(
    "wanted", [Filter(fraction=(0.01,)), Filter(seed=(3,)), Filter((), (), (0.5,), (), (9,))]
)
def test_cells_that_train_nothing_pass_any_fraction_and_seed(wanted: Filter, kind: str) -> None:
    assert wanted.takes(FREE, kind)
    assert not wanted.takes(FREE, "segmentation")
    assert not wanted.takes(TRAINED, "classification")
    # All other words hold for them.
    assert not Filter(task=("rsna-zeroshot",)).takes(FREE, kind)
    assert not Filter(encoder=("mgca",), fraction=(1.0,)).takes(FREE, kind)


def test_a_word_that_nothing_has_is_looked_for_among_cells_that_it_could_choose() -> None:
    both = [(TRAINED, "segmentation"), (FREE, "zero-shot")]
    assert Filter(fraction=(0.1,)).unmatched(both, every=True) is None
    found = Filter(fraction=(0.1, 1.0)).unmatched(both, every=True)
    assert found == ("fraction", "fraction 100 %; did you mean '10 %'?")
    assert Filter(fraction=(0.1, 1.0)).unmatched(both) is None
    assert Filter(seed=(0,)).unmatched(both) == ("seed", "seed 0; there are 1")
    # Where nothing is trained, no fraction is wrong.
    assert Filter(fraction=(0.01,), seed=(7,)).unmatched([(FREE, "zero-shot")], every=True) is None
    assert Filter(encoder=("gd2",)).unmatched(both) == ("encoder", "encoder gd2; did you mean 'g2d'?")
