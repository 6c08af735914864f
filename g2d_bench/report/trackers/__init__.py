"""Where a run can be watched: one module per tool, and what they share.

A module of this package that says ``TRACKER = …`` adds one; packages of others add theirs by entry points of
the group ``g2d_bench.trackers``. Records are what counts; a tracker only shows them elsewhere, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from g2d_bench.registry import Registry

if TYPE_CHECKING:
    from g2d_bench.report.trackers.base import Setup, Tracker

TRACKERS: Registry[Callable[[Setup], Tracker]] = Registry(
    "tracker", package=__name__, mark="TRACKER", group="g2d_bench.trackers"
)
"""Trackers by name, as ``run --tracker`` takes them. Looking at the names imports nothing."""
