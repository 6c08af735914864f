"""Scorers by name: code of others that says how well images and texts agree."""

from __future__ import annotations

from typing import Any

from g2d_bench.registry import Registry

SCORERS: Registry[Any] = Registry(
    "scorer", package="g2d_bench.encoders.scorers", mark="SCORER", group="g2d_bench.scorers"
)
"""Functions that make a :class:`g2d_bench.encoders.scorer.Scorer`. None ships with the package: who installs
one of another package, and names it on a card, has opted in. Looking at their names imports nothing."""
