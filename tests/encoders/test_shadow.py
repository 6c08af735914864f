"""Modules without weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

"""Mutations of each file; more with ``G2D_BENCH_FUZZ=2000``."""


def test_building_leaves_the_random_state_as_one_building_does(tmp_path: Path) -> None:
    """The shadow that is held against the tensors draws nothing."""
    from g2d_bench.encoders.shadow import built_for, shadow

    torch.manual_seed(0)
    linear = nn.Linear(3, 2)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    assert shadow(lambda: nn.Linear(3, 2)).weight.is_meta
    made = built_for(linear.state_dict(), lambda: nn.Linear(3, 2))
    assert torch.equal(made.weight, linear.weight)
    assert torch.equal(torch.get_rng_state(), after)
