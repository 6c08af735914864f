"""Weights & Biases; ``WANDB_MODE=offline`` keeps it on this machine."""

from __future__ import annotations

from g2d_bench.report.trackers.alike import Alike
from g2d_bench.report.trackers.base import Setup


class WandB(Alike):
    """Logs to Weights & Biases.

    Args:
        setup: its project is the project's name.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__("wandb", setup, reinit=True)


TRACKER = WandB
