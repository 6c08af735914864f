"""Draws, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from g2d_bench.phantom.seeds import Stream


@pytest.mark.parametrize("count", [1, 3, 84, 20_000])
def test_normal_numbers_are_those_of_numpy(count: int) -> None:
    for key in range(40):
        own, theirs = Stream(key), np.random.Generator(np.random.Philox(key=key))
        np.testing.assert_allclose(own.normal(size=count), theirs.normal(size=count), rtol=0, atol=1e-13)
        # As many words have been used up.
        assert own.random() == theirs.random()
        assert own.normal(2, 3) == pytest.approx(theirs.normal(2, 3), abs=1e-13)


def test_single_normal_numbers_are_those_of_numpy() -> None:
    far = 0.0
    for key in range(30):
        own = Stream(key).normal_singles((128, 128))
        theirs = np.random.Generator(np.random.Philox(key=key)).standard_normal((128, 128), np.float32)
        np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-6)
        far = max(far, float(np.abs(own).max()))
    assert far > 3.66, "no number beyond the last strip was drawn"


def test_other_draws_are_those_of_numpy() -> None:
    own, theirs = Stream(5), np.random.Generator(np.random.Philox(key=5))
    for _ in range(2000):
        assert own.beta(1.6, 2.2) == pytest.approx(theirs.beta(1.6, 2.2), abs=1e-13)
        assert own.beta(2.4, 1.0) == pytest.approx(theirs.beta(2.4, 1.0), abs=1e-13)
        assert own.geometric(0.45) == theirs.geometric(0.45)
        assert own.uniform(2, 5) == theirs.uniform(2, 5)
        assert own.choice("abcde") == str(theirs.choice(list("abcde")))
