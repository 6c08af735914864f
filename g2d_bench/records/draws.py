"""Bootstrap draws of a metric, and the cache that keeps them between commands."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.kept import read_kept, write_kept
from g2d_bench.locks import alone
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import REPLICATES, Values, general_replicates, mean_replicates
from g2d_bench.metrics.spec import Predictions
from g2d_bench.paths import cache_dir
from g2d_bench.progress import tell_once
from g2d_bench.records.signature import NUMBERS

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
        is the same fresh and from the cache; None where resampling has no meaning or arrays are missing.
    """
    patients = predictions.get("patient")
    if patients is None or not len(patients):
        return None
    try:
        spec = metric_spec(metric)
        if not spec.resamples:
            return None
        if spec.per_sample is not None:
            drawn = mean_replicates(np.asarray(spec.per_sample(predictions), np.float64), patients, count)
        else:
            count = count if len(patients) < LARGE else count // 4
            drawn = general_replicates(spec.statistic(predictions), patients, count)
    except (InputError, KeyError):
        return None
    return drawn.astype(np.float32).astype(np.float64)


class DrawCache:
    """Draws by predictions file; an entry holds as long as the metric's value is still the same.

    Args:
        folder: where to keep them; by default in the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_dir() / "draws"
        # Read once: the draws that are given out are parts of these arrays.
        self._loaded: dict[Path, dict[str, Values]] = {}

    def holds(self, digest: str, count: int, metrics: Sequence[str]) -> bool:
        """Say whether draws of these metrics are kept, be they of today's values or not; see :meth:`get`."""
        return set(metrics) <= self._load(self._path(digest, count), say=False).keys()

    def _path(self, digest: str, count: int) -> Path:
        return self._folder / f"{digest[:32]}-{count}-n{NUMBERS}.npz"

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
        return {metric: kept[metric][1:] if len(kept[metric]) > 1 else None for metric in points}

    def _complete(self, path: Path, points: dict[str, float], make: Callable[[str], Values | None]) -> None:
        kept, fresh = self._loaded[path], False
        for metric, point in points.items():
            if not _holds(kept.get(metric), point):
                drawn = make(metric)
                kept[metric] = np.array([point]) if drawn is None else np.concatenate([[point], drawn])
                fresh = True
        if fresh:
            self._save(path, kept)

    def _load(self, path: Path, *, say: bool = True) -> dict[str, Values]:
        content = read_kept(path, say=say)
        if content is None:
            return {}
        # Whatever is wrong with a cache file, the draws can be made again.
        with suppress(Exception), np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name.replace("\\", "/"): arrays[name] for name in arrays.files}
        return {}

    def _save(self, path: Path, kept: dict[str, Values]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{_stored(name): part for name, part in kept.items()})
        try:
            write_kept(path, buffer.getvalue())
        except InputError as error:
            # A table must not fail for want of room in the cache.
            tell_once(f"bootstrap draws are not kept: {error}")


def _holds(entry: Values | None, point: float) -> bool:
    """Say whether draws are those of a metric's value; it stands before them."""
    return entry is not None and (entry[0] == point or bool(np.isnan(entry[0]) and np.isnan(point)))


def _stored(metric: str) -> str:
    """Name an array of the archive; a slash ("auroc/Edema") would become a folder there."""
    return metric.replace("/", "\\")
