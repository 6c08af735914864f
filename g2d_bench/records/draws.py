"""Bootstrap draws of a metric, and the cache that keeps them between commands."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.kept import read_kept, write_kept
from g2d_bench.locks import alone
from g2d_bench.metrics.registry import foreign_code, metric_spec
from g2d_bench.metrics.resample import REPLICATES, Values, general_replicates, mean_replicates
from g2d_bench.metrics.spec import Predictions
from g2d_bench.paths import cache_dir
from g2d_bench.progress import tell_once
from g2d_bench.records.signature import NUMBERS

FEWEST = 10
"""Patients without whom nothing is drawn: of eight, a tenth of the 95 % intervals miss; of one, all do."""
CACHED = 2
"""Version of what is kept; raised where what is drawn at all has changed, and not only a number."""
LARGE = 5000
"""Test samples from which metrics that are no mean over samples get a quarter of the draws: each draw then
takes as long as the whole metric."""


def draw(metric: str, predictions: Predictions, count: int = REPLICATES) -> Values | None:
    """Bootstrap one metric over the patients of the test set.

    Args:
        metric: its name.
        predictions: the stored arrays.
        count: how many draws.

    Returns:
        The metric per draw [count, or a quarter of it on a large test set], in single precision so that it
        is the same fresh and from the cache; None where resampling has no meaning, arrays are missing or
        there are fewer than :data:`FEWEST` patients.
    """
    patients = predictions.get("patient")
    if patients is None or few(patients):
        return None
    try:
        spec = metric_spec(metric)
        if not spec.resamples or spec.inflated:
            return None
        if spec.per_sample is not None:
            drawn = mean_replicates(np.asarray(spec.per_sample(predictions), np.float64), patients, count)
        else:
            count = count if len(patients) < LARGE else count // 4
            drawn = general_replicates(spec.statistic(predictions), patients, count)
    except (InputError, KeyError):
        return None
    return drawn.astype(np.float32).astype(np.float64)


def few(patients: NDArray[Any]) -> bool:
    """Say whether there are too few patients to draw from, one per sample given, [N]."""
    return len(np.unique(patients)) < FEWEST


class Entry(NamedTuple):
    """What is kept of one metric.

    Attributes:
        point: its value on the samples as they are, for which the draws hold.
        drawn: its draws [R], none where it cannot be drawn.
    """

    point: float
    drawn: NDArray[np.float32]


class DrawCache:
    """Draws by predictions file; an entry holds as long as the metric's value is still the same.

    A file is a line of JSON, ``[metric, value, number of draws]`` each, and the draws in single precision,
    which is what :func:`draw` gives.

    Args:
        folder: where to keep them; by default in the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_dir() / "draws"
        # Read once.
        self._loaded: dict[Path, dict[str, Entry]] = {}

    def holds(self, digest: str, count: int, metrics: Sequence[str]) -> bool:
        """Say whether draws of these metrics are kept, be they of today's values and whole or not.

        Only the head of the file is looked at; see :meth:`get`.
        """
        with suppress(Exception):
            head, _, _ = read_regular(self._path(digest, count)).partition(b"\n")
            return set(metrics) <= {name for name, _, _ in json.loads(head)}
        return not metrics

    def _path(self, digest: str, count: int) -> Path:
        # Another package's metric may draw otherwise at the same value.
        others = f"-{code[:16]}" if (code := foreign_code()) else ""
        return self._folder / f"{digest[:32]}-{count}-n{NUMBERS}-{CACHED}{others}.draws"

    def get(
        self, digest: str, count: int, points: dict[str, float], make: Callable[[str], Values | None]
    ) -> dict[str, Values | None]:
        """Return the draws of some metrics, from the cache where they are there.

        Args:
            digest: of the predictions file.
            count: draws asked for.
            points: metric to its value on the samples as they are.
            make: draws of a metric that are not there.
        """
        path = self._path(digest, count)
        if path not in self._loaded:
            self._loaded[path] = self._load(path)
        if not all(_holds(self._loaded[path].get(metric), point) for metric, point in points.items()):
            with alone(path.with_name(f".{path.name}.lease"), "bootstrap"):
                # Another process may have drawn them meanwhile.
                self._loaded[path] |= self._load(path, say=False)
                self._complete(path, points, make)
        kept = self._loaded[path]
        return {
            metric: kept[metric].drawn.astype(np.float64) if len(kept[metric].drawn) else None
            for metric in points
        }

    def _complete(self, path: Path, points: dict[str, float], make: Callable[[str], Values | None]) -> None:
        kept, fresh = self._loaded[path], False
        for metric, point in points.items():
            if not _holds(kept.get(metric), point):
                drawn = make(metric)
                kept[metric] = Entry(point, np.asarray(() if drawn is None else drawn, np.float32))
                fresh = True
        if fresh:
            self._save(path, kept)

    def _load(self, path: Path, *, say: bool = True) -> dict[str, Entry]:
        content = read_kept(path, say=say)
        if content is None:
            return {}
        # Whatever is wrong with a cache file, the draws can be made again.
        with suppress(Exception):
            head, _, body = content.partition(b"\n")
            parts = json.loads(head)
            drawn = np.frombuffer(body, "<f4")
            ends = np.cumsum([length for *_, length in parts])[:-1]
            pieces = np.split(drawn, ends)
            return {name: Entry(point, piece) for (name, point, _), piece in zip(parts, pieces, strict=True)}
        return {}

    def _save(self, path: Path, kept: dict[str, Entry]) -> None:
        head = json.dumps([[name, float(entry.point), len(entry.drawn)] for name, entry in kept.items()])
        body = b"".join(entry.drawn.astype("<f4").tobytes() for entry in kept.values())
        try:
            write_kept(path, head.encode() + b"\n" + body)
        except InputError as error:
            # A table must not fail for want of room in the cache.
            tell_once(f"bootstrap draws are not kept: {error}")


def _holds(entry: Entry | None, point: float) -> bool:
    """Say whether draws are those of a metric's value."""
    return entry is not None and (entry.point == point or (math.isnan(entry.point) and math.isnan(point)))
