"""From the name of a metric to its convention, and to its value."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.metrics.spec import PER_LABEL, MetricSpec, Predictions


def metrics() -> dict[str, MetricSpec]:
    """Return all metrics by name."""
    found: dict[str, MetricSpec] = {}
    # A family is a module of this package with a table METRICS.
    for module in iter_modules([str(Path(__file__).parent)]):
        found |= getattr(import_module(f"g2d_bench.metrics.{module.name}"), "METRICS", {})
    return found


def metric_names() -> list[str]:
    """Return all names, sorted."""
    return sorted(metrics())


def metric_spec(name: str) -> MetricSpec:
    """Return one metric; ``auroc/Pneumonia`` is ``auroc`` of that label alone.

    Raises:
        InputError: there is none of that name.
    """
    known = metrics()
    base, separator, label = name.partition(PER_LABEL)
    if base not in known or (separator and not (label and known[base].by_label)):
        raise InputError(f"unknown metric {name!r}; {did_you_mean(name, sorted(known))}")
    if not separator:
        return known[name]
    from g2d_bench.metrics.classification import of_label

    return of_label(known[base], label)


def measure(predictions: Predictions, names: tuple[str, ...]) -> dict[str, float]:
    """Compute metrics by name from stored predictions; NaN where one is undefined.

    Raises:
        InputError: a name is unknown.
    """
    return {name: metric_spec(name)(predictions) for name in names}
