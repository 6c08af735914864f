"""Records that stand in the way of those to come: of the same cells, but of other weights, cards or data."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from g2d_bench.cells.bench import Bench
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import read_record


def rivals(cells: Iterable[Cell], bench: Bench) -> list[str]:
    """Say, before work begins, of which encoders a table would then find two records for one cell.

    Args:
        cells: the plan.
        bench: opened settings; cells whose data or weights cannot be read are passed over.

    Returns:
        A line per encoder and cause, with the first such record.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for cell in cells:
        with suppress(InputError):
            for path, cause in _others(cell, bench):
                found.setdefault((cell.encoder, cause), []).append(path)
    return [
        f"{encoder}: {bench.store.root} holds {len(paths)} record{'s' if len(paths) > 1 else ''} of these "
        f"cells with {cause}, such as {paths[0]}; `table` will refuse to show both: use another name for the "
        "encoder, another folder (--results), or remove what should not count"
        for (encoder, cause), paths in found.items()
    ]


def _others(cell: Cell, bench: Bench) -> list[tuple[Path, str]]:
    """Return the records of a cell that are not the one that it would have today, and in what they differ."""
    here = bench.resolve(cell)
    key, path, card = here.key, here.path, here.card
    others = []
    for file in sorted(path.parent.glob(f"{cell.stem}-*.json")):
        if file == path:
            continue
        # What is no record will be complained of by whoever reads the folder.
        with suppress(InputError):
            record = read_record(file)
            if record.key == key:
                continue
            if record.encoder.weights != weights_digest(
                card, bench.settings.checkpoint(card.name), cell.seed
            ):
                weights = record.encoder.weights
                cause = "other weights" + ("" if weights.startswith("init:") else f" ({weights[:8]})")
            elif record.encoder.card_hash != card.digest:
                cause = "another encoder card"
            else:
                cause = "other data, another protocol or an older version"
            others.append((file, cause))
    return others
