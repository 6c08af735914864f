"""From the name of a metric to its convention, and to its value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, lru_cache

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.hashing import digest_foreign, digest_json
from g2d_bench.metrics.spec import PER_LABEL, MetricSpec, Predictions
from g2d_bench.registry import Registry

FAMILIES: Registry[Mapping[str, MetricSpec]] = Registry(
    "family of metrics", package="g2d_bench.metrics", mark="METRICS", group="g2d_bench.metrics"
)
"""Tables of metrics; a module of this package that says ``METRICS = {…}`` adds one."""


@cache
def metrics() -> Mapping[str, MetricSpec]:
    """Return all metrics by name.

    Raises:
        InputError: two families take the same name.
    """
    found: dict[str, MetricSpec] = {}
    for family in FAMILIES:
        for name, spec in FAMILIES[family].items():
            if name in found:
                raise InputError(
                    f"the metric {name!r} of {FAMILIES.module(family)} is defined elsewhere, too"
                )
            found[name] = spec
    return found


def foreign_code(names: Collection[str] | None = None) -> str:
    """Name the source of the metrics that other packages bring.

    Args:
        names: the metrics in question; all if None.

    Returns:
        A digest, or "" where none of them is of another package.
    """
    asked = None if names is None else {name.partition(PER_LABEL)[0] for name in names}
    code = {family: digest_foreign(FAMILIES.module(family)) for family in FAMILIES}
    theirs = [
        digest
        for family, digest in code.items()
        if digest and (asked is None or not asked.isdisjoint(FAMILIES[family]))
    ]
    return digest_json(theirs) if theirs else ""


def metric_names() -> list[str]:
    """Return the names of all metrics, sorted.

    Example:
        >>> {"auroc", "dice_positive", "ap_coco"} <= set(metric_names())
        True
    """
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
    return _of_label(known[base], label)


@lru_cache(maxsize=4096)
def _of_label(spec: MetricSpec, label: str) -> MetricSpec:
    return spec.of_label(label)


def measure(predictions: Predictions, names: tuple[str, ...]) -> dict[str, float]:
    """Compute metrics by name from stored predictions; NaN where one is undefined.

    Args:
        predictions: arrays as they lie beside a record; which ones, each family's module says.
        names: of metrics.

    Raises:
        InputError: a name is unknown.

    Example:
        >>> import numpy as np
        >>> scores, targets = np.array([[0.9], [0.2], [0.4]]), np.array([[1], [0], [1]])
        >>> stored = {"id": np.arange(3), "scores": scores, "targets": targets, "label": np.array(["Mass"])}
        >>> float(measure(stored, ("auroc",))["auroc"])
        1.0
    """
    return {name: metric_spec(name)(predictions) for name in names}
