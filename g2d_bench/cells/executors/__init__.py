"""Executors: where units of cells are run. One module each.

A module of this package that says ``EXECUTOR = …`` adds one; packages of others add theirs by entry points of
the group ``g2d_bench.executors``. What is declared is called with the options of a run and gives an
:class:`~g2d_bench.cells.executors.base.Executor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2d_bench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from g2d_bench.cells.executors.base import Executor, Wishes

EXECUTORS: Registry[Callable[[Wishes], Executor]] = Registry(
    "executor", package=__name__, mark="EXECUTOR", group="g2d_bench.executors"
)
"""Executors by name, as ``--executor`` takes them. Looking at the names imports nothing."""

DEFAULT = "local"
"""The one that needs nothing but this machine."""
