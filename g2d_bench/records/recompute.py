"""What follows from a record's predictions: metrics, trivial predictors, counts; kept between commands.

Computing them again is most of what a table costs, so they are kept with the digest of the predictions and of
the code that computed them. What is kept is read back only if it is what was written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.kind import KINDS, known_kind
from g2d_bench.errors import InputError
from g2d_bench.files import write_atomically
from g2d_bench.hashing import digest_foreign, digest_json, digest_package
from g2d_bench.metrics.registry import foreign_code, metric_spec
from g2d_bench.metrics.segmentation import segmentation_metrics
from g2d_bench.metrics.spec import Predictions
from g2d_bench.paths import PACKAGE, cache_dir
from g2d_bench.records.groups import digest_groups
from g2d_bench.records.record import prediction_bytes, read_predictions
from g2d_bench.records.selection import Found

EDITED = 1e-6
"""How far a recorded metric may lie from its recomputation: rounding of a sum in another order."""
FORMAT = 1
"""Version of the files in the cache."""
READ_BY = ("adapters", "metrics", "records")
"""Packages that derive facts from predictions; a change of any of their modules may change a fact."""


@dataclass(frozen=True)
class Facts:
    """What follows from predictions.

    Attributes:
        metrics: name to value, NaN for an undefined one.
        errors: name to why a metric cannot be computed.
        references: trivial predictors as far as the predictions tell them, likewise.
        samples: lines of the predictions: images, for phrases pairs.
        images: different images among them.
        positive: images of which the truth shows a label.
        labels: of the task, where its kind keeps them.
        order: digest of ids and patients, in their order.
        truth: digest of what is true of them; "" where a compact record lacks a part of it.
        groups: digest of the groups of patients to which the samples belong; "" where none are kept.
        faults: what contradicts itself, a line each.
        notes: what a record should note of them; see :mod:`g2d_bench.records.notes`.
    """

    metrics: dict[str, float]
    errors: dict[str, str]
    references: dict[str, dict[str, float]]
    samples: int
    images: int
    positive: int
    labels: tuple[str, ...]
    order: str
    truth: str
    groups: str = ""
    faults: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


def recompute(metric: str, predictions: Predictions) -> float:
    """Compute one metric from stored predictions, NaN where it is undefined.

    Raises:
        InputError: the metric is unknown.
        KeyError: an array is missing.
    """
    spec = metric_spec(metric)
    if spec.resamples:
        return spec(predictions)
    # Metrics that depend on the order of the samples; so far segmentation has the only one.
    common, predicted, true = (
        predictions[name].astype(np.int64) for name in ("intersection", "predicted", "true")
    )
    return segmentation_metrics(common, predicted, true, names=(metric,))[metric]


def recomputed(found: Found, predictions: Predictions) -> dict[str, float]:
    """Compute the metrics that a record states again, NaN for an undefined one.

    Raises:
        InputError: a metric is unknown, or the arrays do not allow to compute it.
    """
    try:
        return {metric: recompute(metric, predictions) for metric in found.record.metrics}
    except KeyError as error:
        raise InputError(f"the array {error} is missing", file=found.where, field="predictions") from None


def differences(
    stated: Mapping[str, float | None], computed: Mapping[str, float]
) -> list[tuple[str, float, float]]:
    """Return the computed metrics that are stated otherwise.

    Returns:
        Metric, stated and computed value; NaN for an undefined one.
    """
    moved = []
    for metric, again in computed.items():
        value = stated.get(metric)
        said = math.nan if value is None else value
        if math.isnan(said) != math.isnan(again) or abs(said - again) > EDITED:
            moved.append((metric, said, again))
    return moved


def derive(kind: str, predictions: Predictions, names: Sequence[str]) -> Facts:
    """Derive all that predictions tell of a record.

    Args:
        kind: of the task.
        predictions: its arrays, as :func:`~g2d_bench.records.record.read_predictions` gives them.
        names: metrics to compute.
    """
    metrics, errors = _measured(predictions, names)
    ids = predictions["id"]
    unique = np.unique(ids)
    return Facts(
        metrics=metrics,
        errors=errors,
        references={name: _measured(blind, use)[0] for name, blind, use in _blind(kind, predictions, names)}
        | _chance(kind, predictions, names),
        samples=len(ids),
        images=len(unique),
        positive=_positive(kind, predictions),
        labels=tuple(predictions["label"].tolist()) if "label" in predictions else (),
        order=order_of(predictions),
        truth=truth_of(kind, predictions),
        groups=digest_groups(predictions),
        faults=tuple(_faults(kind, predictions, len(unique))),
        notes=_noted(kind, predictions),
    )


def order_of(predictions: Mapping[str, NDArray[Any]]) -> str:
    """Return a digest of the test samples and their patients, in order."""
    return digest_json([predictions[name].tolist() for name in ("id", "patient") if name in predictions])


def truth_of(kind: str, predictions: Mapping[str, NDArray[Any]]) -> str:
    """Return a digest of what is true of a test set, the same for any type in which it is kept.

    Returns:
        "" where a part of it is not there.
    """
    known = known_kind(kind)
    names = known.truth if known is not None else ()
    if not names or any(name not in predictions for name in names):
        return ""
    return digest_json([_plain(predictions[name]) for name in names])


def _plain(array: NDArray[Any]) -> list[Any]:
    if array.dtype.kind == "U":
        return list(array.tolist())
    wide = array.astype(np.float64)
    # JSON has no NaN; no truth is below zero but a box that passes the edge.
    return list(np.where(np.isnan(wide), -1e99, wide).tolist())


def no_probabilities(kind: str, notes: Mapping[str, Any], name: str) -> str:
    """Say why a metric of probabilities cannot be computed from scores that are none, "" for any other.

    Args:
        kind: of the task.
        notes: of the record, which say what its scores are.
        name: of the metric.
    """
    known = known_kind(kind)
    if known is None or known.probabilities is None or known.probabilities(notes):
        return ""
    with suppress(InputError):  # an adapter of somebody's own may state what is unknown here
        if metric_spec(name).of_probabilities:
            return f"its scores are no probabilities: {notes.get('score', 'nothing says what they are')}"
    return ""


def _measured(predictions: Predictions, names: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    values, errors = {}, {}
    for name in names:
        try:
            values[name] = recompute(name, predictions)
        except InputError as error:
            errors[name] = str(error)
        except KeyError as error:
            errors[name] = f"the array {error} is missing"
    return values, errors


def _blind(
    kind: str, predictions: Predictions, names: Sequence[str]
) -> list[tuple[str, Predictions, list[str]]]:
    """Return the trivial predictors that need no training set, and the metrics for which that is so."""
    known = known_kind(kind)
    made = known.blind(predictions, names) if known is not None and known.blind is not None else []
    return [(name, dict(found), use) for name, found, use in made]


def _chance(kind: str, predictions: Predictions, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the trivial predictors that are expectations; none where a compact record lacks an array."""
    known = known_kind(kind)
    if known is None or known.chance is None:
        return {}
    with suppress(KeyError):
        return known.chance(predictions, names)
    return {}


def _noted(kind: str, predictions: Predictions) -> dict[str, Any]:
    """Return what a record should note; nothing where a compact record lacks an array."""
    known = known_kind(kind)
    return {} if known is None or known.noted is None else known.noted(predictions)


def _positive(kind: str, predictions: Predictions) -> int:
    """Count the images of which the truth shows a label."""
    ids = predictions["id"]
    known = known_kind(kind)
    if known is None or known.shown is None or any(name not in predictions for name in known.truth[:1]):
        # Only images with a region or a phrase are asked for one.
        return len(np.unique(ids))
    return len(np.unique(ids[known.shown(predictions)]))


def _faults(kind: str, predictions: Predictions, images: int) -> list[str]:
    faults = []
    ids = predictions["id"]
    known = known_kind(kind)
    pairs = known is not None and known.samples == "pairs"
    if not pairs and "category" in predictions:
        # Of several findings, each is asked once per image.
        ids = np.array([f"{name} {label}" for name, label in zip(ids, predictions["category"], strict=True)])
        images = len(np.unique(ids))
    if not pairs and images < len(ids):
        names, counts = np.unique(ids, return_counts=True)
        name = str(names[counts.argmax()])
        faults.append(f"id: {name!r} stands {counts.max()} times, {len(ids) - images} lines too many")
    if "patient" in predictions:
        patients = np.unique(np.stack([ids, predictions["patient"]], axis=1), axis=0)
        if len(patients) > images:
            faults.append("patient: an image belongs to two patients")
    if {"intersection", "predicted", "true"} <= set(predictions):
        common, predicted, true = (
            predictions[name].astype(np.int64) for name in ("intersection", "predicted", "true")
        )
        if (common > np.minimum(predicted, true)).any():
            faults.append("intersection: is larger than what was predicted or is true")
    if "label" in predictions and len(set(predictions["label"].tolist())) < len(predictions["label"]):
        faults.append("label: stands twice")
    return faults


def has_facts(found: Found) -> bool:
    """Say whether what a record's predictions tell is kept, be it whole or not; see :func:`facts_of`."""
    kept = found.record.predictions
    return kept is not None and _place(found.record.kind, kept.sha256).is_file()


def facts_of(found: Found, names: Sequence[str], *, fresh: bool = False) -> Facts:
    """Derive what a record's predictions tell, or take it from the cache; the predictions are hashed anyway.

    Args:
        found: a record with its file.
        names: metrics to compute.
        fresh: compute in any case.

    Raises:
        InputError: the predictions are missing, were changed, or are no predictions of this kind of task.
    """
    record = found.record
    assert found.path is not None
    prediction_bytes(found.path, record)
    assert record.predictions is not None
    place = _place(record.kind, record.predictions.sha256)
    kept = None if fresh else _load(place)
    lacking = [name for name in names if kept is None or name not in {**kept.metrics, **kept.errors}]
    if kept is None:
        kept = derive(record.kind, read_predictions(found.path, record), names)
        _save(place, kept)
    elif lacking:
        more = derive(record.kind, read_predictions(found.path, record), lacking)
        kept = replace(
            kept,
            metrics=kept.metrics | more.metrics,
            errors=kept.errors | more.errors,
            references={
                name: kept.references.get(name, {}) | values for name, values in more.references.items()
            },
        )
        _save(place, kept)
    # The predictions do not tell it, so that what is kept does not.
    whys = {name: why for name in kept.metrics if (why := no_probabilities(record.kind, record.notes, name))}
    metrics = {name: value for name, value in kept.metrics.items() if name not in whys}
    return replace(kept, metrics=metrics, errors=kept.errors | whys)


def _place(kind: str, sha256: str) -> Path:
    """Name the file of a record's facts by the predictions, the kind and the code that reads them."""
    return cache_dir() / "facts" / f"{sha256[:32]}-{code_of(kind)[:16]}.json"


@cache
def code_of(kind: str) -> str:
    """Return a digest of what reads the predictions of a kind, code of other packages included."""
    ours = [FORMAT, kind, np.__version__, *(digest_package(PACKAGE / name) for name in READ_BY)]
    theirs = [digest_foreign(KINDS.module(kind)) if kind in KINDS else "", foreign_code()]
    return digest_json([*ours, *filter(None, theirs)])


def _load(path: Path) -> Facts | None:
    # Whatever is wrong with a cache file, the facts can be derived again.
    with suppress(Exception):
        kept = json.loads(path.read_bytes())
        if kept["digest"] == digest_json([path.name, kept["facts"]]):
            facts = kept["facts"]
            return Facts(
                **{
                    **facts,
                    "metrics": _numbers(facts["metrics"]),
                    "references": {name: _numbers(values) for name, values in facts["references"].items()},
                    "labels": tuple(facts["labels"]),
                    "faults": tuple(facts["faults"]),
                }
            )
    return None


def _save(path: Path, facts: Facts) -> None:
    content = asdict(facts)
    content["metrics"] = _nulls(facts.metrics)
    content["references"] = {name: _nulls(values) for name, values in facts.references.items()}
    content |= {"labels": list(facts.labels), "faults": list(facts.faults)}
    # An infinite value is no JSON; nor need a cache that cannot be written stop anybody.
    with suppress(OSError, InputError, ValueError):
        whole = {"digest": digest_json([path.name, content]), "facts": content}
        write_atomically(path, json.dumps(whole).encode())


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _nulls(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
