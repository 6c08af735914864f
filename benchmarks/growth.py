"""How far a grid grows with the number of workers: recorded times, laid out by executors and by shards.

    python benchmarks/growth.py [--cells 10000] [--results results/phantom] [--out FILE.md]

Nothing is trained. The units of a plan are drawn again and again from the records of a folder, with the
seconds that they took, until there are enough cells; then each way to share them out is simulated. The bound
is what no way can beat: all work divided by the workers, or the longest unit, whichever is more.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from g2d_bench.cells.shards import shared_out
from g2d_bench.cells.sharing import Unit
from g2d_bench.records.cell import Cell
from g2d_bench.records.store import FAILED, Store

WORKERS = (1, 8, 64, 512, 4096)
START = 8.0
"""Seconds until a process has started and imported what a cell needs, once per worker."""


def recorded(root: Path) -> list[list[tuple[Cell, float]]]:
    """Read cells and seconds, grouped as they are run: together where their record says so."""
    alone: list[list[tuple[Cell, float]]] = []
    together: dict[tuple[str, ...], list[tuple[Cell, float]]] = defaultdict(list)
    for path in Store(root).files():
        if path.name.endswith(FAILED):
            continue
        raw = json.loads(path.read_bytes())
        cell, seconds = Cell(**raw["cell"]), sum(raw["seconds"].values())
        if raw["notes"].get("cells_together", 1) > 1:
            together[cell.task, cell.encoder, cell.protocol].append((cell, seconds))
        else:
            alone.append([(cell, seconds)])
    return [*together.values(), *alone]


def plan(kinds: Sequence[Sequence[tuple[Cell, float]]], cells: int) -> tuple[list[Unit], dict[Cell, float]]:
    """Lay out units until there are enough cells, each round as if its encoders were others."""
    units: list[Unit] = []
    seconds: dict[Cell, float] = {}
    for turn in range(cells):
        for kind in kinds:
            again = {replace(cell, encoder=f"{cell.encoder}.{turn}"): spent for cell, spent in kind}
            units.append(tuple(again))
            seconds |= again
            if len(seconds) >= cells:
                return units, seconds
    return units, seconds


def queue(work: Sequence[float], workers: int, hand_over: float = 0.0) -> float:
    """Return the seconds until all is done where whoever is free takes the next unit.

    Args:
        work: seconds of the units, in the order in which they are taken.
        workers: how many there are.
        hand_over: seconds that the one driver spends on a unit, during which no other one moves.
    """
    free = [START] * workers
    driver = 0.0
    for spent in work:
        driver = max(driver, heapq.heappop(free)) + hand_over
        heapq.heappush(free, driver + spent)
    return max(free)


def driver_seconds(root: Path) -> float:
    """Time what the driver does for a cell, two files written and synced and one read: a mean of records."""
    store, files = Store(Path()), [path for path in Store(root).files() if path.with_suffix(".npz").exists()]
    records = [
        (path.read_bytes(), path.with_suffix(".npz").read_bytes()) for path in files[:: len(files) // 50]
    ]
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        for n, (record, predictions) in enumerate(records):
            place = Path(folder) / f"{n}-s0-aaaaaaaa.json"
            store.take(place, record, predictions)
            store.find(place, "")
        return (time.perf_counter() - start) / len(records)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cells", type=int, default=10_000)
    options.add_argument("--results", type=Path, default=Path("results/phantom"))
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    units, seconds = plan(recorded(given.results), given.cells)
    work = [sum(seconds[cell] for cell in unit) for unit in units]
    per_cell = driver_seconds(given.results)
    hand_over = per_cell * len(seconds) / len(units)
    longest, total = max(work), sum(work)
    lines = [
        f"{len(seconds):,} cells in {len(units):,} units, {total / 3600:.1f} h of work, longest unit "
        f"{longest:.0f} s; a driver spends {1e3 * per_cell:.1f} ms on a cell, a worker {START:g} s on its "
        "start",
        "",
        "| workers | bound | order of the plan | longest first | with one driver | shards | efficiency | "
        "what stops it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for workers in WORKERS:
        bound = START + max(total / workers, longest)
        planned, best = queue(work, workers), queue(sorted(work, reverse=True), workers)
        driven = queue(sorted(work, reverse=True), workers, hand_over)
        shards = START + max(
            sum(seconds[cell] for unit in share for cell in unit)
            for share in shared_out(units, workers, seconds.get)
        )
        costs = {
            "nothing": 0.05 * driven,
            "the longest unit": max(0.0, longest - total / workers),
            "the end, when some have nothing left": best - bound,
            "the one driver": driven - best,
            "the start of workers": START,
        }
        shown = " | ".join(f"{value:,.0f} s" for value in (bound, planned, best, driven, shards))
        efficiency = f"{100 * total / workers / driven:.0f} %"
        lines.append(f"| {workers:,} | {shown} | {efficiency} | {max(costs, key=costs.__getitem__)} |")
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
