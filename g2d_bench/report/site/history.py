"""Earlier records of the same cells: how a number moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record
from g2d_bench.records.selection import Found, read_folder


def earlier(found: Sequence[Found], folders: Sequence[Path]) -> dict[Cell, list[Record]]:
    """Collect earlier records of cells, the latest first.

    Args:
        found: the records that are shown.
        folders: of earlier ones; those of another kind of data, and copies, are left out.

    Raises:
        InputError: see :func:`g2d_bench.records.selection.read_folder`.
    """
    shown = {(one.cell, one.record.data.kind): one.record for one in found}
    history: dict[Cell, dict[str, Record]] = {}
    for folder in folders:
        for one in read_folder(folder):
            now = shown.get((one.cell, one.record.data.kind))
            if now is not None and (one.record.created, one.record.key) != (now.created, now.key):
                history.setdefault(one.cell, {}).setdefault(
                    f"{one.record.created} {one.record.key}", one.record
                )
    return {cell: [some[key] for key in sorted(some, reverse=True)] for cell, some in history.items()}
