"""What tables and the leaderboard cost as records grow: 500 to 8,000 of them, with all draws kept.

    python benchmarks/tables.py [--sizes 500,1000,2000,4000,8000] [--results results/phantom] [--out FILE.md]

The records of a folder are copied under the names of other encoders, each with a predictions file of its own
(the same arrays, other bytes), its own key and its own seal, so that `verify` takes them. What earlier
tables would have kept of them, facts and draws, is put into a cache that goes with the folder. Each command
is a process of its own; what counts is its processor time with that of its workers, which other work on the
machine disturbs less than the clock's.
"""

from __future__ import annotations

import argparse
import math
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from g2d_bench.records.selection import Found

COMMANDS = {
    "table": ("table", "--format", "csv", "--out", "OUT/table.csv"),
    "table --summary": ("table", "--summary", "--format", "csv", "--out", "OUT/summary.csv"),
    "leaderboard": ("leaderboard", "--no-pictures", "--out", "OUT/site"),
}
GOALS = {500: 3.0, 8000: 30.0}
"""Records to the processor seconds that a table may take."""


def marked(packed: bytes, number: int) -> bytes:
    """Write a number where an archive says at what time its first file was changed, which nobody reads."""
    (start,) = struct.unpack("<I", packed[-6:-2])
    return packed[: start + 12] + struct.pack("<H", number) + packed[start + 14 :]


def draw_all(found: Sequence[Found]) -> None:
    """Draw all that tables and pages of some records ask for."""
    from g2d_bench.cells.ahead import draw_ahead, undrawn
    from g2d_bench.cells.settings import Settings
    from g2d_bench.cli.records import main_metrics
    from g2d_bench.records.groups import ATTRIBUTES
    from g2d_bench.report.groups import pairs_of

    main = main_metrics(found, Settings())
    draw_ahead(undrawn(found, groups=lambda one: pairs_of(one, ATTRIBUTES, (), main)))


def drawn_files() -> dict[str, list[Path]]:
    """Return the files of draws, of groups of images and their values, too, by the predictions' digest."""
    from g2d_bench.paths import cache_dir

    files: dict[str, list[Path]] = {}
    for folder in ("draws", "groups"):
        for path in (cache_dir() / folder).rglob("*.*"):
            if path.is_file():
                files.setdefault(path.name.partition("-")[0], []).append(path)
    return files


def keep_as(path: Path, digest: str, other: str) -> None:
    """Keep what was drawn from predictions as drawn from others with the same arrays."""
    from g2d_bench.kept import read_kept, write_kept

    content = read_kept(path)
    assert content is not None
    write_kept(path.with_name(path.name.replace(digest[:32], other[:32])), content)


def grow(source: Path, root: Path, count: int) -> int:
    """Copy records until there are so many, and keep what tables would have kept of the copies.

    Returns:
        How many encoders there are.
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.checks_cards import CardCheck
    from g2d_bench.records import recompute
    from g2d_bench.records.cell import DECODER
    from g2d_bench.records.identity import key_of
    from g2d_bench.records.record import digest_bytes, prediction_bytes, sealed, to_json
    from g2d_bench.records.selection import read_folder
    from g2d_bench.records.signature import parse_signature
    from g2d_bench.records.store import Store

    catalogue, store = Catalogue.open(), Store(root)
    cards = CardCheck(catalogue)
    first = [one for one in read_folder(source) if one.record.predictions is not None][:count]
    draw_all(first)
    kept_draws = drawn_files()
    facts = [recompute.facts_of(one, tuple(one.record.metrics)) for one in first]
    made, names = 0, set()
    for turn in range(-(-count // len(first))):
        for one, known in list(zip(first, facts, strict=True))[: count - made]:
            record, parts = one.record, parse_signature(one.record.signature)
            assert one.path is not None
            assert record.predictions is not None
            assert parts is not None
            whole = record.cell.with_decoder
            name = f"{record.cell.card}.{turn}{DECODER * whole}" if turn else record.cell.encoder
            cell = replace(record.cell, encoder=name)
            task, protocol = catalogue.tasks[parts.task], catalogue.protocols[parts.protocol]
            key = key_of(
                {
                    "cell": cell.as_dict(),
                    "task": cards.task_digest(task, parts.split),
                    "protocol": cards.protocol_digest(protocol, task),
                    "encoder": record.encoder.card_hash,
                    "weights": record.encoder.weights,
                    "data": record.data.hash,
                    "numbers": int(parts.numbers),
                }
            )
            key = key if turn else record.key
            path = store.path(cell, kind=record.data.kind, version=parts.version, key=key)
            packed = prediction_bytes(one.path, record)
            packed = marked(packed, turn) if turn else packed
            kept = record.predictions.model_copy(
                update={"file": path.with_suffix(".npz").name, "sha256": digest_bytes(packed)}
            )
            command = record.command.replace(
                f"--encoder {record.cell.encoder} ", f"--encoder {cell.encoder} "
            )
            copied = record.model_copy(
                update={"cell": cell, "key": key, "predictions": kept, "command": command}
            )
            store.take(path, to_json(sealed(copied)), packed)
            recompute._save(recompute._place(record.kind, kept.sha256), known)
            for path in kept_draws.get(record.predictions.sha256[:32], ()) if turn else ():
                keep_as(path, record.predictions.sha256, kept.sha256)
            names.add(name)
            made += 1
    return len(names)


def seconds(words: Sequence[str], cache: Path) -> tuple[float, float]:
    """Run a command.

    Returns:
        Seconds of the processor, workers included, and the peak memory of the largest process, MB.
    """
    environment = {**os.environ, "G2D_BENCH_CACHE": str(cache)}
    command = [sys.executable, "-m", "g2d_bench", *words]
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {told.read()[-2000:]!r}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Fit growth as a power of the number of records."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sizes", default="500,1000,2000,4000,8000")
    options.add_argument("--results", type=Path, default=Path("results/phantom"))
    options.add_argument("--folder", type=Path, help="where records and cache are kept for another run")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    lines, times = [], dict[str, list[float]]()
    with tempfile.TemporaryDirectory(prefix="g2d-bench-tables-") as name:
        folder = (given.folder or Path(name)).resolve()
        cache = folder / "cache"
        os.environ["G2D_BENCH_CACHE"] = str(cache)
        for size in sizes:
            root, out = folder / f"records{size}", folder / "out"
            out.mkdir(parents=True, exist_ok=True)
            encoders = grow(given.results, root, size)
            row = []
            for title, words in COMMANDS.items():
                asked = [word.replace("OUT", str(out)) for word in words]
                spent, peak = seconds([*asked, "--results", str(root)], cache)
                times.setdefault(title, []).append(spent)
                goal = GOALS.get(size, math.inf)
                row.append(f"{spent:.1f} s{' (missed)' if spent > goal else ''}, {peak:.0f} MB")
            lines.append(f"| {size:,} | {encoders} | " + " | ".join(row) + " |")
            print(lines[-1], flush=True)
    head = ["| records | encoders | " + " | ".join(COMMANDS) + " |", "|---|---|" + "---|" * len(COMMANDS)]
    lines = [*head, *lines]
    if len(sizes) > 1:
        growth = " | ".join(f"{exponent(sizes, times[title]):.2f}" for title in COMMANDS)
        lines.append(f"| exponent of growth | | {growth} |")
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
