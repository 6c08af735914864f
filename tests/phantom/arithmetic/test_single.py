"""Functions of single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import arithmetic as ours

RNG = np.random.default_rng(7)
MANY = 20_000
WIDE = np.finfo(np.longdouble).nmant > 60
needs_wide = pytest.mark.skipif(not WIDE, reason="long doubles are no wider than doubles here")


def units(values: NDArray[Any], truth: NDArray[np.longdouble]) -> float:
    """Largest error in units in the last place of the truth."""
    place = np.spacing(np.abs(truth.astype(values.dtype))).astype(np.longdouble)
    return float(np.max(np.abs(values.astype(np.longdouble) - truth) / place))


@needs_wide
def test_functions_of_singles_are_close_to_the_truth() -> None:
    x = RNG.uniform(-86, 87, MANY).astype(np.float32)
    assert units(ours.exp(x), np.exp(x.astype(np.longdouble))) < 2.6
    x = RNG.uniform(-30, 30, MANY).astype(np.float32)
    for own, true in ((ours.sin, np.sin), (ours.cos, np.cos)):
        error = own(x).astype(np.longdouble) - true(x.astype(np.longdouble))
        assert float(np.max(np.abs(error))) < 2**-23
    x = RNG.uniform(-3, 3, MANY).astype(np.float32)
    assert units(ours.cube(x), x.astype(np.longdouble) ** 3) < 0.51
