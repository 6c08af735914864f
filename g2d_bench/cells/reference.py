"""The reference records of the phantom benchmark: which cells, in which order, and what git keeps of them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.kind import KINDS
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.plan import Skipped, make_cells
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.compact import write_compact
from g2d_bench.records.record import Record
from g2d_bench.records.selection import Filter, Found
from g2d_bench.records.store import Store

SEEDS = (0, 1, 2)
BESIDE = {"clean-linear": ("siim-seg", "rsna-seg", "covid-cxr-seg"), "clean-finetune": ("cxr14-cls",)}
"""Other protocols, and the tasks that are run under them, too: those that papers fine-tune, and masks."""


def reference_cells(bench: Bench, wanted: Filter) -> tuple[list[Cell], list[Skipped]]:
    """Lay out the reference: all tasks, all small encoders, the tasks' fractions, three seeds.

    Args:
        bench: opened on generated data and without anybody's own cards or checkpoints.
        wanted: which of the cells.

    Returns:
        Cells, cheap ones first, and what is left out, such as encoders without weights.

    Raises:
        InputError: no cell is wanted.
    """
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    for protocol, tasks in (("clean", ("all",)), *BESIDE.items()):
        more, left = make_cells(
            bench.catalogue,
            tasks=tasks,
            encoders=(),
            fractions=(),
            seeds=SEEDS,
            protocol=protocol,
            weights=bench.weights,
        )
        cells += more
        skipped += [one for one in left if one not in skipped]
    placed = [(cell, bench.catalogue.tasks[cell.task].kind) for cell in cells]
    if word := wanted.unmatched(placed, every=True):
        name, reason = word
        raise InputError(f"the reference has no {reason}", field=f"--{name}")
    chosen = [cell for cell, kind in placed if wanted.takes(cell, kind)]
    if not chosen:
        raise InputError("no cell of the reference passes all filters together")
    return sorted(chosen, key=lambda cell: _cost(cell, bench.catalogue)), skipped


def _cost(cell: Cell, catalogue: Catalogue) -> tuple[int, float, str, int, str]:
    """Sort key: no training, linear heads, trained heads by their images, fine-tuned encoders."""
    task, protocol = catalogue.tasks[cell.task], catalogue.protocols[cell.protocol]
    kind = KINDS[task.kind]
    rank = kind.cost if cell.protocol == "clean" else 1 if kind.together(task, protocol) else sys.maxsize
    return rank, cell.fraction, cell.task, cell.seed, cell.encoder


@dataclass(frozen=True)
class Published:
    """What became of a folder for git.

    Attributes:
        written: its records of the cells that were published.
        replaced: records of the same cells that went: of older data, cards, weights or code.
        strangers: records of cells that are not of the reference; they are left alone.
        missing: cells of the reference that have no record.
    """

    written: tuple[Path, ...]
    replaced: tuple[Path, ...]
    strangers: tuple[Path, ...]
    missing: tuple[Cell, ...]


def publish(
    records: Iterable[Found],
    source: Path,
    target: Path,
    whole: Collection[Cell],
    cards: Catalogue | None = None,
) -> Published:
    """Write compact copies of records; each cell has one record in the target afterwards.

    Args:
        records: finished cells, with their files below ``source``.
        source: the folder of the records.
        target: the folder for git.
        whole: all cells of the reference.
        cards: of their tasks and protocols.

    Raises:
        InputError: a record cannot be verified, or a file of the target is no record.
    """
    chosen = list(records)
    written = write_compact(chosen, source, target, cards=cards)
    fresh, cells = set(written), {found.cell for found in chosen}
    replaced, strangers, there = [], [], set()
    for path, record in Store(target):
        cell = Found(record).cell
        if path not in fresh and cell in cells:
            replaced.append(path)
            continue
        there.add(cell)
        if cell not in whole:
            strangers.append(path)
    for path in replaced:
        _remove(path, target)
    missing = tuple(cell for cell in whole if cell not in there)
    return Published(tuple(written), tuple(replaced), tuple(strangers), missing)


def _remove(path: Path, root: Path) -> None:
    """Remove a record with its predictions, and the folders that it alone needed."""
    path.unlink()
    path.with_suffix(".npz").unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root or any(folder.iterdir()):
            return
        folder.rmdir()


def finished(cells: Sequence[Cell], bench: Bench) -> list[Found]:
    """Return the records of those cells that are finished, in the same order."""
    resolved = [bench.resolve(cell) for cell in cells]
    return [Found(record, one.path) for one in resolved if (record := bench.finished(one)) is not None]


def published_before(
    cells: Sequence[Cell], bench: Bench, records: Iterable[Record], *, generate: bool
) -> frozenset[Cell]:
    """Return the cells among whose records one is of today's data, cards, weights and code.

    Wherever it was made, it need not be made again.

    Args:
        cells: the cells in question.
        bench: opened on generated data; records in its own folder do not count.
        records: those of the folder for git.
        generate: make the data that are not there. Else the records are believed in what they say of them.
    """
    wanted = set(cells)

    def today(cell: Cell, record: Record) -> bool:
        known = generate or bench.source.state_of(bench.catalogue.tasks[cell.task]) != "no"
        if known:
            return bench.resolve(cell).holds(record)
        return bench.key(cell, record.data.hash) == record.key

    return frozenset(
        cell for record in records if (cell := Found(record).cell) in wanted and today(cell, record)
    )
