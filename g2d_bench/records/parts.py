"""What a record says of groups of its test images: value and bootstrap draws of each, and of all together.

Values are kept between commands with the digest of the predictions and of the code that computed them, draws
beside them, so that a page of many records unpacks none of them twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json
from g2d_bench.kept import read_kept, write_kept
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import REPLICATES, Values, general_replicates
from g2d_bench.metrics.spec import Predictions, Statistic
from g2d_bench.paths import cache_dir
from g2d_bench.records.draws import LARGE, DrawCache, draw, few
from g2d_bench.records.groups import ATTRIBUTES, PREFIX, UNKNOWN, Texts, groups_of
from g2d_bench.records.recompute import code_of, no_probabilities
from g2d_bench.records.record import prediction_names, read_predictions
from g2d_bench.records.selection import Found

Texts_of = Callable[[Found], Mapping[str, Texts]]
"""Gives the arrays of groups of a record whose predictions have none, such as from its data; see
:class:`g2d_bench.cells.groups.GroupsOfData`."""

Pairs = tuple[tuple[str, str], ...]
"""By what images are grouped, and the metric that is drawn."""


@dataclass(frozen=True)
class Group:
    """Some test images of a record.

    Attributes:
        name: "" of all of them.
        images: how many different ones there are: one may be asked for several phrases or findings.
        key: tells these images from any others of the same predictions.
        point: the metric on them, NaN where it is undefined.
    """

    name: str
    images: int
    key: str
    point: float


@dataclass(frozen=True)
class Measured:
    """Groups of the test images of one record.

    Attributes:
        sample: digest of the images and of the group of each; draws of equal ones make pairs.
        groups: all images first.
    """

    sample: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Parts:
    """Groups with their draws.

    Attributes:
        measured: the groups.
        draws: the metric per draw of patients [R], by the name of a group; all are drawn together.
    """

    measured: Measured
    draws: Mapping[str, Values]


_seen: dict[tuple[Path, str], tuple[str, ...]] = {}
"""Record's file and digest of its predictions to what these are grouped by: a page asks several times."""


def kept_groups(found: Found) -> tuple[str, ...]:
    """Return by what a record's own predictions group its test images; nothing is unpacked for it."""
    if found.path is None or found.record.predictions is None:
        return ()
    place = found.path, found.record.predictions.sha256
    if place not in _seen:
        names = prediction_names(found.path, found.record)
        _seen[place] = tuple(by for by in ATTRIBUTES if PREFIX + by in names)
    return _seen[place]


def undrawn_pairs(digest: str, pairs: Pairs) -> Pairs:
    """Return the pairs of which no draws of a predictions file are kept; see :meth:`DrawCache.holds`."""
    return tuple((by, metric) for by, metric in pairs if not _draws(by).holds(digest, REPLICATES, (metric,)))


def parts_of(
    found: Found, by: str, metric: str, elsewhere: Texts_of | None = None, count: int = REPLICATES
) -> Parts | str:
    """Measure and draw each group, or say why that is not possible.

    Args:
        found: a record with predictions.
        by: one of :data:`~g2d_bench.records.groups.ATTRIBUTES`.
        metric: one that has a value for resamplings.
        elsewhere: gives the groups of a record that keeps none.
        count: draws, of which metrics that are no mean take a quarter on a large test set.

    Raises:
        InputError: nothing is grouped by that, or predictions were changed.
    """
    kept = found.record.predictions
    assert kept is not None
    groups_of({}, by)
    if why := no_probabilities(found.record.kind, found.record.notes, metric):
        return f"{metric} does not follow from its predictions ({why})"
    test = _Test(found, by, metric, elsewhere)
    place = _place(found.record.kind, kept.sha256, by, metric)
    own = by in kept_groups(found)
    known = _load(place) if own else None
    if known is None and ((not own and elsewhere is None) or test.texts is None):
        return f"neither its predictions nor data at hand tell the {by} of its test images"
    try:
        measured = known or test.measured()
        points = {group.key: group.point for group in measured.groups}
        drawn = _draws(by).get(kept.sha256, count, points, lambda key: test.draw(key, points[key], count))
    except KeyError as error:
        return f"{metric} does not follow from its predictions, which hold no {error.args[0]}"
    except InputError as error:
        return f"{metric} does not follow from its predictions ({error})"
    if own and known is None:
        _save(place, measured)
    draws = {group.name: drawn[group.key] for group in measured.groups}
    return Parts(measured, {name: array for name, array in draws.items() if array is not None})


class _Test:
    """The test images of a record and their groups, unpacked when asked for; see :func:`parts_of`."""

    def __init__(self, found: Found, by: str, metric: str, elsewhere: Texts_of | None) -> None:
        self._found = found
        self._by = by
        self._metric = metric
        self._elsewhere = elsewhere

    @cached_property
    def _arrays(self) -> Predictions:
        assert self._found.path is not None
        arrays = read_predictions(self._found.path, self._found.record)
        if self._elsewhere is not None and not any(name.startswith(PREFIX) for name in arrays):
            arrays = {**arrays, **self._elsewhere(self._found)}
        return arrays

    @cached_property
    def texts(self) -> Texts | None:
        """The group of each image, None where nothing tells it."""
        texts = groups_of(self._arrays, self._by)
        return None if texts is None or len(texts) != len(self._arrays["id"]) else texts

    @cached_property
    def _masks(self) -> dict[str, Values]:
        """Per group, all images first, 1 where an image belongs to it, else 0, each [N]."""
        assert self.texts is not None
        names = sorted(set(self.texts.tolist()) - {UNKNOWN})
        return {"": np.ones(len(self.texts))} | {n: (self.texts == n).astype(np.float64) for n in names}

    @cached_property
    def _statistic(self) -> Statistic:
        return metric_spec(self._metric).statistic(self._arrays)

    def measured(self) -> Measured:
        """Measure each group.

        Raises:
            InputError: the metric depends on the order of the images.
            KeyError: an array is missing.
        """
        assert self.texts is not None
        ids = self._arrays["id"]
        groups = [
            Group(name, len(np.unique(ids[mask > 0])), self._key(name), float(self._statistic(mask[None])[0]))
            for name, mask in self._masks.items()
        ]
        return Measured(digest_json([self._arrays["id"].tolist(), self.texts.tolist()]), tuple(groups))

    def _key(self, name: str) -> str:
        # Which images these are is part of it: groups may come from the data, and not from the record.
        images = digest_json(np.flatnonzero(self._masks[name]).tolist())[:16]
        return f"{self._metric}@{images}" if name else self._metric

    def draw(self, key: str, point: float, count: int) -> Values | None:
        """Draw the group of a key; draws of all images are those of tables without groups, and kept for them.

        Raises:
            KeyError: nothing tells the patients.
        """
        patients = self._arrays["patient"]
        if key == self._metric:
            return self._whole(point, count)
        mask = next(mask for name, mask in self._masks.items() if name and self._key(name) == key)
        spec = metric_spec(self._metric)
        if spec.inflated or few(patients[mask > 0]):
            return None
        count = count if len(patients) < LARGE else count // 4
        if spec.of_rows is None:
            drawn = general_replicates(lambda weights: self._statistic(weights * mask), patients, count)
        else:
            rows = np.flatnonzero(mask)
            drawn = general_replicates(
                spec.statistic(spec.of_rows(self._arrays, rows)), patients, count, rows
            )
        return drawn.astype(np.float32).astype(np.float64)

    def _whole(self, point: float, count: int) -> Values | None:
        kept = self._found.record.predictions
        assert kept is not None
        points = {self._metric: point}
        return DrawCache().get(kept.sha256, count, points, lambda name: draw(name, self._arrays, count))[
            self._metric
        ]


def _draws(by: str) -> DrawCache:
    """Open the draws of groups, which are more than those of tables and are not read with these."""
    return DrawCache(cache_dir() / "draws" / by)


def _place(kind: str, sha256: str, by: str, metric: str) -> Path:
    name = f"{sha256[:32]}-{digest_json([by, metric])[:8]}-{code_of(kind)[:16]}.json"
    return cache_dir() / "groups" / name


def _load(path: Path) -> Measured | None:
    content = read_kept(path)
    # Whatever is wrong with a cache file, the groups can be measured again.
    with suppress(Exception):
        if content is not None:
            raw = json.loads(content)
            groups = [
                Group(**{**one, "point": math.nan if one["point"] is None else one["point"]})
                for one in raw["groups"]
            ]
            return Measured(raw["sample"], tuple(groups))
    return None


def _save(path: Path, measured: Measured) -> None:
    content = asdict(measured)
    for group in content["groups"]:
        group["point"] = None if math.isnan(group["point"]) else group["point"]
    # A cache that cannot be written stops nobody.
    with suppress(InputError):
        write_kept(path, json.dumps(content).encode())
