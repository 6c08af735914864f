"""Units of cells, which one process runs together: how they are made up, and how one is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from g2d_bench.cards.kind import KINDS
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.run import record_failure, run_cell, run_cells
from g2d_bench.cells.sharing import Outcome, Standing, Unit, lease_path
from g2d_bench.errors import InputError
from g2d_bench.files import MACHINE, CannotWrite, machine_error
from g2d_bench.locks import Lease
from g2d_bench.progress import tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure, Record

Done = Sequence[Outcome] | None
"""What became of the cells of a unit; None where another run is at them."""


def units(cells: Sequence[Cell], bench: Bench) -> list[Unit]:
    """Group the cells that are cheaper together; the others stay alone.

    Order is that of the first cells, but for the kinds that keep what a frozen encoder gives, the most of it
    first (cells, vectors, pooled features): each finds the features that those before it computed, so that
    an image passes an encoder once.
    """
    tasks, protocols = bench.catalogue.tasks, bench.catalogue.protocols
    groups: dict[tuple[object, ...], list[Cell]] = {}
    ranks: dict[tuple[object, ...], int] = {}
    for cell in cells:
        task = tasks[cell.task]
        kind = KINDS[task.kind]
        shared = kind.together(task, protocols[cell.protocol])
        key = (cell.task, cell.encoder, cell.protocol) if shared else (cell,)
        groups.setdefault(key, []).append(cell)
        early = kind.early if shared or not kind.trained else None
        ranks[key] = sys.maxsize if early is None else early
    return [tuple(groups[key]) for key in sorted(groups, key=ranks.__getitem__)]


def name_of(unit: Unit) -> str:
    """Name a unit in a line of progress."""
    first = unit[0]
    alone = f" · {first.amount} · seed {first.seed}" if len(unit) == 1 else ""
    return f"{first.task} · {first.encoder}{alone}"


def claimed(unit: Unit, bench: Bench, standing: Standing) -> Done:
    """Run what is left to do of a unit; None if another run is at it."""
    resolved = {cell: bench.resolve(cell) for cell in unit}
    lease = Lease.take(lease_path(resolved[unit[0]]))
    if lease is None:
        return None
    with lease:
        found = {cell: standing.since(one, bench.store) for cell, one in resolved.items()}
        left = tuple(cell for cell, outcome in found.items() if outcome is None)
        made = dict(zip(left, attempt(left, bench), strict=True)) if left else {}
        return [found[cell] or made[cell] for cell in unit]


def attempt(unit: Unit, bench: Bench) -> Sequence[Record | Failure]:
    """Run a unit; where anything in it fails, each cell alone, so that the others do not fail with it."""
    if len(unit) > 1:
        try:
            return run_cells([bench.resolve(cell) for cell in unit], bench.store, bench.options)
        except CannotWrite as error:
            _stop_if_of_results(error, bench)
        except InputError:
            pass  # Said by the cells that it is about.
        except Exception as error:
            what = (str(error).splitlines() or [""])[0]
            cause = f"{type(error).__name__}: {what}"
            tell(f"{name_of(unit)}: {len(unit)} cells together: {cause}; tried one by one")
    return [_attempt_one(cell, bench) for cell in unit]


def _attempt_one(cell: Cell, bench: Bench) -> Record | Failure:
    try:
        return run_cell(bench.resolve(cell), bench.store, bench.options)
    except CannotWrite as error:
        _stop_if_of_results(error, bench)
        return record_failure(cell, bench, error)
    except OSError as error:
        # A full disk, a folder without permission: the user's to mend.
        mendable = error.errno in MACHINE
        return record_failure(cell, bench, machine_error(error) if mendable else error)
    except Exception as error:
        return record_failure(cell, bench, error)


def _stop_if_of_results(error: CannotWrite, bench: Bench) -> None:
    """End the run where records cannot be written: what is computed from here on would be lost, too."""
    if error.path.is_relative_to(bench.store.root):
        raise error
