"""Objectives by name: the losses with which an encoder can be pre-trained."""

from __future__ import annotations

from typing import Any

from g2d_bench.registry import Registry

OBJECTIVES: Registry[type[Any]] = Registry(
    "objective", package="g2d_bench.pretrain", mark="OBJECTIVE", group="g2d_bench.objectives"
)
"""Classes of :class:`g2d_bench.pretrain.objective.Objective`; a module of that package that says
``OBJECTIVE = …`` adds one. Looking at their names imports nothing."""

CONTROLS = ("none", "supervised")
"""What a card says of an encoder without vision-language pre-training: random and ImageNet initialisation."""
OTHER = "other"
"""What a card says of an encoder whose loss is none of :data:`OBJECTIVES`."""
