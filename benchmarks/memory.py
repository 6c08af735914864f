"""Memory of a sweep of 40 small cells in one process, cell by cell.

    python benchmarks/memory.py [--images 160] [--steps 12] [--maps 64] [--out FOLDER]

Generated data, five encoders: segmentation, detection, segmentation by linear heads and classification, each
at 10 and 100 % of the labels. The sweep runs twice, each time in a process of its own: as it is, and with
trained models left to Python's own collector, as before. Maps of encoders are kept between cells up to a
budget, here about that of the largest cell (2 GiB unless told otherwise, which these cells never fill). The
largest cell of each kind then runs alone in a process of its own: the sweep may not need more than a tenth
more than the largest of these. Prints a table, writes memory.md and memory.json, and draws the curve into
FOLDER/memory.png.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from repeats import quick_protocols

GOAL = 1.1
ENCODERS = ("random", "convirt", "gloria", "mgca", "g2d")
GRID = (("siim-seg", "quick"), ("rsna-det", "quick"), ("siim-seg", "clean-linear"), ("rsna-cls", "quick"))
FRACTIONS = (0.1, 1.0)
MIB = 1 << 20


def resident() -> float:
    """Return the resident memory of this process now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def sweep(
    folder: Path, results: Path, encoders: Sequence[str], *, maps: int, keep: bool, only: int | None
) -> None:
    """Run the cells one after another and print a line of JSON for each."""
    from g2d_bench.cells import run
    from g2d_bench.cells.bench import Bench, Options
    from g2d_bench.cells.run import run_cell
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.cell import Cell

    if keep:
        run.gc = SimpleNamespace(collect=lambda: 0)  # type: ignore[assignment]
    settings = Settings(data_root=folder / "data", results=results, protocol_dirs=(folder / "protocols",))
    bench = Bench(settings, Options(memory_budget=maps * MIB))
    cells = [
        Cell(task=task, fraction=fraction, protocol=protocol, seed=0, encoder=encoder)
        for task, protocol in GRID
        for fraction in FRACTIONS
        for encoder in encoders
    ]
    for number, cell in enumerate(cells):
        if only in (None, number):
            record = run_cell(bench.resolve(cell), bench.store, bench.options)
            print(json.dumps([number, str(cell), record.peak_memory_mb, round(resident())]), flush=True)


def measured(folder: Path, name: str, *words: str) -> list[list[Any]]:
    """Run a sweep in a process of its own.

    Returns:
        Per cell its number, name, peak while it ran and resident memory after it, MiB.
    """
    command = [sys.executable, __file__, "--sweep", str(folder), "--results", str(folder / name), *words]
    environment = {**os.environ, "G2D_BENCH_CACHE": str(folder / "cache"), "G2D_BENCH_DEVICE": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def draw(curves: dict[str, list[list[Any]]], limit: float, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    for (name, curve), colour in zip(curves.items(), ("C3", "C0"), strict=True):
        places = [number + 1 for number, *_ in curve]
        axes.plot(places, [peak for *_, peak, _ in curve], color=colour, label=f"{name}: peak while it ran")
        after = [left for *_, left in curve]
        axes.plot(places, after, color=colour, ls=":", label=f"{name}: left after it")
    axes.axhline(limit, color="0.5", lw=0.8, label="largest cell alone + 10 %")
    axes.set(xlabel="cell of the sweep", ylabel="MiB", ylim=(0, None), xlim=(1, None))
    axes.legend(fontsize=7, ncols=2, loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--images", type=int, default=160, help="of each of the two data sets")
    options.add_argument("--steps", type=int, default=12, help="of the training of a decoder or detector")
    options.add_argument("--maps", type=int, default=64, help="MiB of an encoder's maps that are kept")
    options.add_argument("--quick", action="store_true", help="one encoder: does it run?")
    options.add_argument("--out", type=Path)
    options.add_argument("--sweep", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--only", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    encoders = ENCODERS[:1] if given.quick else ENCODERS
    if given.sweep:
        sweep(given.sweep, given.results, encoders, maps=given.maps, keep=given.keep, only=given.only)
        return 0

    from g2d_bench.phantom import ensure

    with tempfile.TemporaryDirectory(prefix="g2d-bench-memory-") as name:
        folder = Path(name)
        for dataset in ("siim", "rsna"):
            ensure(dataset, root=folder / "data", count=given.images, size=128)
        (folder / "protocols").mkdir()
        quick_protocols(folder / "protocols")
        for path in (folder / "protocols").iterdir():
            steps = re.sub(r"(?m)^(min|max)_steps = .*$", rf"\1_steps = {given.steps}", path.read_text())
            path.write_text(steps)
        quick = ["--maps", str(given.maps), *(["--quick"] if given.quick else [])]
        now = measured(folder, "now", *quick)
        before = measured(folder, "before", "--keep", *quick)
        # By kind, as a cell late in the sweep bears the libraries of those before it.
        share = len(now) // len(GRID)
        kinds = [now[start : start + share] for start in range(0, len(now), share)]
        largest = [max(kind, key=lambda cell: cell[2])[0] for kind in kinds]
        each = [measured(folder, f"alone{n}", "--only", str(n), *quick)[0] for n in largest]
        alone = max(each, key=lambda cell: cell[2])
    curves = {"before": before, "now": now}
    peaks = {name: max(peak for *_, peak, _ in curve) for name, curve in curves.items()}
    rows = [
        *(
            f"| sweep of {len(now)} cells, {name} | {peak} | {peak / alone[2]:.2f} |"
            for name, peak in peaks.items()
        ),
        f"| largest cell alone ({alone[1]}) | {alone[2]} | 1 |",
    ]
    text = "\n".join(["| | peak, MiB | / largest cell |", "|---|---|---|", *rows])
    print(text)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "memory.md").write_text(text + "\n")
        (given.out / "memory.json").write_text(json.dumps({**curves, "alone": alone}) + "\n")
        draw(curves, GOAL * alone[2], given.out / "memory.png")
    return 0 if peaks["now"] <= GOAL * alone[2] else 1


if __name__ == "__main__":
    sys.exit(main())
