"""The bilateral filter, against a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from g2d_bench.pretrain.smoothing import bilateral


@pytest.mark.parametrize(
    ("shape", "window"), [((2, 9, 12), 5), ((1, 6, 6), 3), ((1, 2, 5), 9), ((1, 1, 1), 3)]
)
def test_bilateral_equals_the_loop(loops: Any, shape: tuple[int, int, int], window: int) -> None:
    generator = np.random.default_rng(3)
    values, guide = (generator.random(shape) < 0.4).astype(np.float64), generator.random(shape)
    ours = bilateral(
        torch.from_numpy(values), torch.from_numpy(guide), window=window, sigma_color=0.2, sigma_space=1.3
    )
    expected = loops.bilateral(values, guide, window, 0.2, 1.3)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_bilateral_keeps_edges_of_the_guide_and_drops_specks() -> None:
    guide = torch.zeros(1, 20, 20)
    guide[:, :, 10:] = 1.0
    mask = guide.clone()
    mask[0, 5, 4] = 1  # a speck
    smooth = bilateral(mask, guide, window=5, sigma_color=0.1, sigma_space=2.0) > 0.5
    assert torch.equal(smooth, guide.bool())


def test_parts_of_a_batch_are_smoothed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(9)
    values, guide = (torch.rand(5, 12, 11) < 0.3).double(), torch.rand(5, 12, 11).double()
    whole = bilateral(values, guide, window=5, sigma_color=0.2, sigma_space=2.0)
    for few in (1, 2 * 12 * 11):
        monkeypatch.setattr("g2d_bench.pretrain.smoothing._CACHED", few)
        assert torch.equal(bilateral(values, guide, window=5, sigma_color=0.2, sigma_space=2.0), whole)
