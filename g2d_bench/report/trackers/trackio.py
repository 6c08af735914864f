"""trackio; ``TRACKIO_DIR`` says where it keeps its runs."""

from __future__ import annotations

from g2d_bench.report.trackers.alike import Alike
from g2d_bench.report.trackers.base import Setup


class Trackio(Alike):
    """Logs to trackio.

    Args:
        setup: its project is the project's name.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__("trackio", setup)


TRACKER = Trackio
