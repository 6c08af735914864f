"""What is to be expected of a plan: which cells are finished, and how long the others may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.rivals import rivals
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast, costs


@dataclass(frozen=True)
class Expected:
    """A cell of a plan.

    Attributes:
        cell: the cell.
        data: the name of its data.
        there: whether these are there, or generated on first use.
        finished: whether it has its record.
        seconds: that it may take, None where nothing like it was timed.
        scaled: whether they are those of other encoders, by the encoders' size.
        wrong: why it cannot be run, such as data that cannot be read; empty where it can.
    """

    cell: Cell
    data: str
    there: bool
    finished: bool
    seconds: float | None
    scaled: bool
    wrong: str = ""


def outlook(
    cells: Sequence[Cell], bench: Bench, forecast: Forecast | None = None
) -> tuple[list[Expected], list[str]]:
    """Look a plan through; nothing is generated for it, and what cannot be read costs its own cells only.

    Args:
        cells: the plan.
        bench: opened settings.
        forecast: what is known of times; by default by the records in the folder of results.

    Returns:
        What is to be expected of each cell, and lines on records that stand in the way of the plan's.
    """
    tasks = {cell: bench.catalogue.tasks[cell.task] for cell in cells}
    # What is not generated yet has no key.
    there = [cell for cell in cells if bench.source.state_of(tasks[cell]) != "no"]
    present = set(there)
    resolved, wrong = [], dict[Cell, str]()
    for cell in there:
        try:
            resolved.append(bench.resolve(cell))
        except InputError as error:
            wrong[cell] = str(error)
    finished = {one.cell for one in resolved if bench.finished(one) is not None}
    in_the_way = rivals(resolved, bench.store.root)
    known = forecast or Forecast((record for _, record in bench.store), costs(bench.catalogue))
    expected = []
    for cell in cells:
        seconds = known.seconds(cell)
        scaled = seconds is not None and not known.timed(cell)
        name = tasks[cell].data_name
        reason = wrong.get(cell, "")
        expected.append(Expected(cell, name, cell in present, cell in finished, seconds, scaled, reason))
    return expected, in_the_way


def require_runnable(plan: Sequence[Expected]) -> None:
    """Raise what some cells of a plan cannot be run by, once the plan is shown.

    Raises:
        InputError: there are such cells.
    """
    wrong = [one.wrong for one in plan if one.wrong]
    if wrong:
        reasons = "; ".join(dict.fromkeys(wrong))
        raise InputError(f"{len(wrong)} of {len(plan)} cells cannot be run: {reasons}")
