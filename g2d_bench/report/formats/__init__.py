"""Formats of a table: one module each, and what they share.

A module of this package that says ``FORMAT = …`` adds one; packages of others add theirs by entry points of
the group ``g2d_bench.formats``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from g2d_bench.registry import Registry

if TYPE_CHECKING:
    from g2d_bench.report.formats.base import Format

FORMATS: Registry[Format] = Registry("format", package=__name__, mark="FORMAT", group="g2d_bench.formats")
"""Formats by name, as ``--format`` takes them. Looking at the names imports nothing."""
