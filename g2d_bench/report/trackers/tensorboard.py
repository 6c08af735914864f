"""TensorBoard: a folder of events below the results; ``tensorboard --logdir runs/tensorboard`` shows it."""

from __future__ import annotations

import re
from typing import Any

from g2d_bench.report.trackers.base import Pages, Setup, Told, library


class TensorBoard:
    """Writes a run per cell, and one called ``tables``.

    Args:
        setup: where results are.
    """

    def __init__(self, setup: Setup) -> None:
        library("tensorboard")
        self._folder = setup.folder / "tensorboard" / _path(setup.project)

    def _writer(self, name: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self._folder / _path(name)))

    def cell(self, told: Told) -> None:
        """Write numbers, parameters and the record."""
        with self._writer(f"{told.name} {str(told.parameters['key'])[:8]}") as writer:
            for name, value in told.metrics.items():
                writer.add_scalar(name, value, 0)
            lines = [f"| {name} | `{value}` |" for name, value in told.parameters.items()]
            writer.add_text("cell", "\n".join(["| | |", "|---|---|", *lines]), 0)
            writer.add_text("record", f"```json\n{told.record}\n```", 0)

    def end(self, pages: Pages) -> None:
        """Write tables and picture."""
        with self._writer("tables") as writer:
            writer.add_text("tables", pages.tables, 0)
            if pages.picture is not None:
                writer.add_image("curves", pages.picture, 0, dataformats="HWC")


def _path(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "run"


TRACKER = TensorBoard
