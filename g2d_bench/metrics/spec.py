"""What a metric's name means; every convention has its own name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from g2d_bench.errors import InputError, did_you_mean

FAMILIES = ("segmentation",)
"""Modules of this package, each with a table `METRICS`."""


@dataclass(frozen=True)
class MetricSpec:
    """A named convention.

    Attributes:
        name: as in cards, records and tables.
        description: the convention in one sentence.
        higher_is_better: the direction.
        share: whether the value is a share, shown in percent.
    """

    name: str
    description: str
    higher_is_better: bool = True
    share: bool = True


def metrics() -> dict[str, MetricSpec]:
    """Return all metrics by name."""
    found: dict[str, MetricSpec] = {}
    for family in FAMILIES:
        found |= import_module(f"g2d_bench.metrics.{family}").METRICS
    return found


def metric_names() -> list[str]:
    """Return all names, sorted."""
    return sorted(metrics())


def metric_spec(name: str) -> MetricSpec:
    """Return one metric.

    Raises:
        InputError: there is none of that name.
    """
    known = metrics()
    if name not in known:
        raise InputError(f"unknown metric {name!r}; {did_you_mean(name, sorted(known))}")
    return known[name]
