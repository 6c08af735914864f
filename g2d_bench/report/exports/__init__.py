"""What others read: one module per format, and what they share.

A module of this package that says ``EXPORT = …`` adds one; packages of others add theirs by entry points of
the group ``g2d_bench.exports``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2d_bench.registry import Registry

if TYPE_CHECKING:
    from g2d_bench.report.exports.base import Export

EXPORTS: Registry[Export] = Registry("export", package=__name__, mark="EXPORT", group="g2d_bench.exports")
"""Exports by name, as ``g2d-bench export`` takes them. Looking at the names imports nothing."""
