"""Shares of a plan for machines that do not know each other: each computes which units are its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import units
from g2d_bench.errors import InputError
from g2d_bench.progress import tell
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast, costs
from g2d_bench.records.store import Store

AUTO = "auto"
MOST = 100_000
"""Shards of one plan; a count beyond it is a slip of the keyboard."""


@dataclass(frozen=True)
class Shard:
    """One of several equal shares.

    Attributes:
        index: which, from 1.
        count: how many there are.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Read ``2/8``, or ask the scheduler that started this process where the text is ``auto``.

    Raises:
        InputError: it is neither, or no scheduler says anything.
    """
    if text == AUTO:
        return _of_scheduler(environment)
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None:
        raise InputError(f"{text[:40]!r} is no shard; write 1/8 to 8/8, or {AUTO}", field="--shard")
    index, count = int(match[1]), int(match[2])
    if not 1 <= index <= count <= MOST:
        raise InputError(f"{text!r} is none of 1/N to N/N, with N up to {MOST}", field="--shard")
    return Shard(index, count)


def _of_scheduler(environment: Mapping[str, str]) -> Shard:
    """Return the share of a task of a Slurm array, or of a node of a SkyPilot cluster."""

    def number(name: str, default: str | None = None) -> int:
        text = environment.get(name, default)
        if text is None or re.fullmatch(r"[0-9]{1,9}", text) is None:
            said = "is not set" if text is None else f"is {text[:40]!r}, no number"
            raise InputError(f"{name} {said}", field=f"--shard {AUTO}")
        return int(text)

    if "SLURM_ARRAY_TASK_ID" in environment:
        count = number("SLURM_ARRAY_TASK_COUNT")
        # Arrays begin at any number and may go in steps, as in --array=0-14:2. What is done again of one,
        # as in --array=3,7, has another count, so its shards are not those of the first time.
        first, step = number("SLURM_ARRAY_TASK_MIN", "0"), number("SLURM_ARRAY_TASK_STEP", "1")
        place, rest = divmod(number("SLURM_ARRAY_TASK_ID") - first, max(1, step))
        if rest or not 0 <= place < count:
            raise InputError(
                "the array has gaps, so its tasks are no shards; give --shard i/n", field=f"--shard {AUTO}"
            )
        return Shard(place + 1, count)
    if "SKYPILOT_NODE_RANK" in environment:
        shard = Shard(number("SKYPILOT_NODE_RANK") + 1, number("SKYPILOT_NUM_NODES"))
        if shard.index <= shard.count:
            return shard
    raise InputError(
        "no scheduler says which shard this is (SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or "
        "SKYPILOT_NODE_RANK and SKYPILOT_NUM_NODES); give --shard i/n",
        field=f"--shard {AUTO}",
    )


def shared_out(
    units: Sequence[Unit], count: int, seconds: Callable[[Cell], float | None]
) -> list[list[Unit]]:
    """Share units out so that the shares take about equally long.

    The longest unit first, each to the share that has the least (Graham 1969, "Bounds on multiprocessing
    timing anomalies": at most a third above the best). The same units and seconds give the same shares on
    every machine, so none has to ask another one.

    Args:
        units: of the whole plan, whatever of it is finished: what is finished differs between machines.
        count: how many shares.
        seconds: to expect of a cell; None where nothing is known of it, which counts as the mean of the
            others.

    Returns:
        Shares, each in the order of the plan; some are empty where there are more shares than units.
    """
    known = {cell: seconds(cell) for unit in units for cell in unit}
    told = [value for value in known.values() if value is not None]
    mean = sum(told) / len(told) if told else 1.0
    work = [sum(mean if (value := known[cell]) is None else value for cell in unit) for unit in units]
    load = [0.0] * count
    share = [0] * len(units)
    for place in sorted(range(len(units)), key=lambda place: (-work[place], place)):
        share[place] = min(range(count), key=lambda one: (load[one], one))
        # A unit that takes no time takes a place all the same.
        load[share[place]] += max(work[place], 1e-9)
    return [[unit for unit, of in zip(units, share, strict=True) if of == one] for one in range(count)]


def own_share(cells: Sequence[Cell], bench: Bench, text: str, timings: Path | None = None) -> list[Cell]:
    """Return the cells of one share of a plan, in the order of the plan.

    Args:
        cells: the plan.
        bench: opened settings.
        text: which share; see :func:`parse_shard`.
        timings: folder of records by whose times shares are balanced; by default by the size of the encoders,
            and not by the records in the folder of results: each machine has others, and they grow.

    Raises:
        InputError: there is no such share, or no such folder.
    """
    shard = parse_shard(text)
    if timings is not None and not timings.is_dir():
        raise InputError("no such folder", file=timings, field="--timings")
    known = Forecast((record for _, record in Store(timings)) if timings else (), costs(bench.catalogue))
    shares = shared_out(units(cells, bench), shard.count, known.seconds if timings else known.size)
    own = {cell for unit in shares[shard.index - 1] for cell in unit}
    tell(f"shard {shard}: {len(own)} of {len(cells)} cells")
    return [cell for cell in cells if cell in own]
