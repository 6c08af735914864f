"""Maps on the evaluation grid, beside their regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from g2d_bench.adapters.heat import Pairs, enlarge, mean_region
from g2d_bench.readers.images import Letterbox


def test_padding_is_no_part_of_the_map() -> None:
    cells = np.arange(16, dtype=np.float32).reshape(4, 4)
    square = enlarge(cells, Letterbox.of((20, 20), 32))
    expected = interpolate(torch.from_numpy(cells)[None, None], size=(32, 32), mode="bilinear")[0, 0].numpy()
    np.testing.assert_array_equal(square, expected)
    wide = enlarge(cells, Letterbox.of((10, 20), 32))
    assert np.isnan(wide[:8]).all()
    assert np.isnan(wide[24:]).all()
    np.testing.assert_array_equal(wide[8:24], expected[8:24])


def test_mean_region_and_pairs() -> None:
    masks = [np.eye(4, dtype=bool), np.ones((4, 4), bool)]
    np.testing.assert_allclose(mean_region(iter(masks), 4), (np.eye(4) + 1) / 2)
    np.testing.assert_array_equal(mean_region([], 3), np.zeros((3, 3)))
    pairs = Pairs([np.zeros((2, 2), np.float32)] * 3, lambda n: masks[n % 2], [Letterbox.of((4, 4), 4)] * 3)
    assert len(pairs) == len(list(pairs)) == 3
    assert pairs[1][1].all()
    assert [region.all() for _, region in pairs[1:]] == [True, False]
    with pytest.raises(IndexError):
        pairs[3]
