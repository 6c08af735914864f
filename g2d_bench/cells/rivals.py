"""Records that stand in the way of those to come: of the same cells, but of other weights, cards or data."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from g2d_bench.cells.resolve import Resolved
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.records.record import read_record


def rivals(cells: Iterable[Resolved], root: Path) -> list[str]:
    """Say, before work begins, of which encoders a table would then find two records for one cell.

    Args:
        cells: the plan, as far as its data and weights can be read.
        root: the folder of records.

    Returns:
        A line per encoder and cause, with the first such record.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for cell in cells:
        for path, cause in _others(cell):
            found.setdefault((cell.cell.encoder, cause), []).append(path)
    return [
        f"{encoder}: {root} holds {counted(len(paths), 'record')} of these "
        f"cells with {cause}, such as {paths[0]}; `table` will refuse to show both: use another name for the "
        "encoder, another folder (--results), or remove what should not count"
        for (encoder, cause), paths in found.items()
    ]


def _others(cell: Resolved) -> list[tuple[Path, str]]:
    """Return the records of a cell that are not the one that it would have today, and in what they differ."""
    others = []
    for file in sorted(cell.path.parent.glob(f"{cell.cell.stem}-*.json")):
        if file == cell.path:
            continue
        # What is no record will be complained of by whoever reads the folder.
        with suppress(InputError):
            record = read_record(file)
            if record.key == cell.key:
                continue
            if record.encoder.weights != cell.weights:
                weights = record.encoder.weights
                cause = "other weights" + ("" if weights.startswith("init:") else f" ({weights[:8]})")
            elif record.encoder.card_hash != cell.card.digest:
                cause = "another encoder card"
            else:
                cause = "other data, another protocol or an older version"
            others.append((file, cause))
    return others
