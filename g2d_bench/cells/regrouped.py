"""Groups of patients that a data set tells otherwise today, brought into the records that keep them.

Sex, age, view and device move no number of a whole test set and are no part of a cell's key, so that a table
that is corrected finds its cells finished. Tables by group read what records keep: these are told anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from g2d_bench.cells.resolve import Resolved
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.records.archives import unpack
from g2d_bench.records.cell import Cell
from g2d_bench.records.groups import NAMES, digest_groups, group_arrays
from g2d_bench.records.record import Record, prediction_bytes, read_predictions, unbroken
from g2d_bench.records.store import Store

Arrays = Mapping[str, NDArray[Any]]


def regroup(
    finished: Iterable[tuple[Resolved, Record]], store: Store
) -> tuple[dict[Cell, Record], list[str]]:
    """Write the groups that the data tell today into finished records that keep others.

    A record that keeps none has them from the data when a table asks; one whose predictions are not at hand,
    or that was changed by hand, is left to `verify`.

    Args:
        finished: cells and their records.
        store: where they are.

    Returns:
        The records that were written, and a line per data set for the user.

    Raises:
        InputError: a record cannot be written.
    """
    today = _Today()
    written: dict[Cell, Record] = {}
    changed: Counter[str] = Counter()
    for cell, record in finished:
        if record.predictions is None or not unbroken(record):
            continue
        if (groups := today(cell, record)) is None:
            continue
        kept = read_predictions(cell.path, record)
        others = {name: array for name, array in kept.items() if name not in NAMES}
        written[cell.cell] = store.save(cell.path, record, others | dict(groups))
        changed[cell.manifest.dataset] += 1
    lines = [
        f"{name}: {counted(count, 'finished record')} now with sex, age, view and device as the data tell; "
        "no number moves"
        for name, count in changed.items()
    ]
    return written, lines


class _Today:
    """The groups that data tell of test images; those of a task's cells are the same and made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, bytes], Arrays] = {}

    def __call__(self, cell: Resolved, record: Record) -> Arrays | None:
        """Return today's groups of a record that keeps others, else None."""
        with suppress(InputError):
            kept = _kept(cell.path, record)
            before = digest_groups(kept)
            ids, index = kept["id"], cell.manifest.index
            if before and all(name in index for name in ids.tolist()):
                place = (id(cell.manifest), ids.tobytes())
                if place not in self._made:
                    self._made[place] = _told(cell.manifest, ids)
                return self._made[place] if digest_groups(self._made[place]) != before else None
        return None


def _kept(path: Path, record: Record) -> Arrays:
    return unpack(prediction_bytes(path, record), path, only=("id", *NAMES))


def _told(manifest: Manifest, ids: NDArray[Any]) -> Arrays:
    return group_arrays([manifest.samples[manifest.index[name]].meta for name in ids.tolist()])
