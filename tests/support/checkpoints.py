"""What a file of weights holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from g2d_bench.encoders.checkpoint import open_checkpoint


def state_of(path: Path) -> dict[str, Tensor]:
    """The largest state dict of a file."""
    largest: Mapping[str, Tensor] = max(open_checkpoint(path).states.values(), key=len)
    return dict(largest)
