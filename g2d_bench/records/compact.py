"""Records small enough for git: predictions without what no metric reads, but for what pages show."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.kind import Reduced, known_kind
from g2d_bench.errors import InputError
from g2d_bench.files import write_atomically
from g2d_bench.records.groups import NAMES
from g2d_bench.records.recompute import differences, recomputed
from g2d_bench.records.record import (
    LEFT_OUT,
    Predictions,
    Record,
    digest_bytes,
    read_predictions,
    read_record,
    sealed,
    to_json,
)
from g2d_bench.records.selection import Found
from g2d_bench.records.shown import SHOWN, shown
from g2d_bench.records.signature import is_of_this_code

if TYPE_CHECKING:
    from g2d_bench.cards.catalogue import Catalogue

ALWAYS = ("id", "patient", *NAMES)
"""What records of all kinds keep though no metric reads it: intervals, paired tests and groups need it."""


class _Watched(Mapping[str, NDArray[Any]]):
    """Arrays that remember which of them were asked for."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.read.add(name)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays


def compact(
    record: Record, predictions: Mapping[str, NDArray[Any]], metric: str = ""
) -> dict[str, NDArray[Any]]:
    """Keep what the record's metrics are computed from, in the smallest types that hold it exactly.

    A kind names in ``kept`` what else stays. It may also say how its predictions are reduced to what metrics
    can tell apart: detection by :mod:`.compact_boxes`, kinds with scores by :mod:`.compact_scores`.

    Args:
        record: of the cell.
        predictions: all its arrays.
        metric: main metric of its task, by which cases are chosen whose masks or maps stay to be looked at,
            see :mod:`.shown`; the record's first one if empty.

    Returns:
        The arrays to keep; `g2d-bench verify` finds the same metrics in them.

    Raises:
        InputError: the metrics do not follow from the predictions, or not any more from what is kept. Of a
            record of other code, which may compute them in another way, only the latter is asked.
    """
    watched, found = _Watched(predictions), Found(record)
    pictures = shown(record.kind, metric or next(iter(record.metrics), ""), predictions)
    try:
        whole = recomputed(found, watched)
    except InputError:
        if is_of_this_code(record.signature):
            raise
        # Other code computed them from other arrays, so nothing can be left out.
        return {name: _smallest(array) for name, array in (dict(predictions) | pictures).items()}
    if is_of_this_code(record.signature):
        _refuse(found, record.metrics, whole)
    kind = known_kind(record.kind)
    if kind is not None and kind.reduced is not None:
        predictions = kind.reduced.make(predictions, record.metrics)
    wanted = watched.read.union(ALWAYS, kind.kept if kind is not None else ())
    kept = {name: _smallest(array) for name, array in predictions.items() if name in wanted}
    _refuse(found, whole, recomputed(found, kept))
    return kept | {name: _smallest(array) for name, array in pictures.items()}


def _reduced(record: Record) -> Reduced | None:
    kind = known_kind(record.kind)
    return kind.reduced if kind is not None else None


def _refuse(found: Found, metrics: Mapping[str, float | None], computed: Mapping[str, float]) -> None:
    for metric, stated, again in differences(metrics, computed):
        raise InputError(
            f"says {stated:.6g}, its predictions give {again:.6g}; only what can be verified is made compact",
            file=found.where,
            field=f"metrics.{metric}",
        )


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """Choose the smallest type that holds every value exactly."""
    if not array.size or array.dtype.kind not in "iuf":
        return array
    if array.dtype.kind == "f":
        types: tuple[type[np.generic], ...] = (np.float16, np.float32)
    else:
        types = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
    for smaller in types:
        if np.dtype(smaller).itemsize >= array.dtype.itemsize:
            break
        with np.errstate(over="ignore"):
            tried = array.astype(smaller)
        if np.array_equal(tried.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"):
            return tried
    return array


def write_compact(
    records: Iterable[Found],
    source: Path,
    target: Path,
    *,
    cards: Catalogue | None = None,
    pictures: bool = True,
) -> list[Path]:
    """Write compact copies of records into another folder, at the same places.

    Args:
        records: with their files below ``source``.
        source: the folder of the records.
        target: the folder to write; files that are there already with the same content stay untouched.
        cards: of tasks and protocols, for main metrics; see :func:`compact`.
        pictures: keep the few masks and maps that pages show.

    Returns:
        The written records.

    Raises:
        InputError: a record says other than its predictions, or both folders are one.
    """
    if source.resolve() == target.resolve():
        raise InputError("holds the full records; compact copies need a folder of their own", file=target)
    written = []
    for found in records:
        assert found.path is not None
        path = target / found.path.relative_to(source)
        written.append(path)
        if _is_copy(found.record, path):
            continue
        if found.record.predictions is None:
            # It is as small as it can be: the task does not apply to the encoder, or its numbers came without
            # anything to prove them with, which the copy says as loudly as the record.
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, to_json(sealed(found.record)))
            continue
        predictions = read_predictions(found.path, found.record)
        try:
            kept = compact(found.record, predictions, _main(found.record, cards))
        except InputError as error:
            raise InputError(str(error), file=found.path) from None
        if not pictures:
            kept = {name: array for name, array in kept.items() if name not in SHOWN}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **kept)
        arrays = path.with_suffix(".npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arrays, buffer.getvalue())
        left = sorted(set(predictions) - set(kept))
        reduced = _reduced(found.record)
        name = reduced.array if reduced is not None else ""
        if reduced is not None and name in kept and not np.array_equal(kept[name], predictions[name]):
            left.append(reduced.loss)
        record = found.record.model_copy(
            update={
                "predictions": Predictions(file=arrays.name, sha256=digest_bytes(buffer.getvalue())),
                "notes": found.record.notes | ({LEFT_OUT: left} if left else {}),
            }
        )
        write_atomically(path, to_json(sealed(record)))
    return written


def _main(record: Record, cards: Catalogue | None) -> str:
    """Return the main metric of a record's task, empty where its cards are not here."""
    task, protocol = record.cell.task, record.cell.protocol
    if cards is None or task not in cards.tasks.names or protocol not in cards.protocols.names:
        return ""
    return cards.protocols[protocol].view(cards.tasks[task]).main


def _is_copy(record: Record, path: Path) -> bool:
    """Say whether ``path`` is the compact copy of this very record, predictions beside it."""
    try:
        there = read_record(path)
        if there.predictions is not None:
            read_predictions(path, there)
    except InputError:
        return False
    if there != sealed(there):
        return False
    changed: dict[str, Any] = {"predictions": None, "notes": {}, "digest": ""}
    notes = {name: value for name, value in there.notes.items() if name != LEFT_OUT}
    same = there.model_copy(update=changed) == record.model_copy(update=changed)
    return same and notes == record.notes and (there.predictions is None) == (record.predictions is None)
