"""Hashing and decoding of DICOM files beside their floors, and how decoding grows with threads and processes.

    python benchmarks/decode.py [--images 120] [--size 1024] [--passes 3] [--out FILE.json]

Generated films in RSNA's format (JPEG in DICOM) lie in the page cache, so that a disk counts for nothing. One
thread: reading, hashing and taking the size from the header, beside reading and hashing alone; they go in
turns. Then decoding into squares of 224 px, first in this process and then by 2, 4, ... threads and
processes as far as there are cores, whose start is not counted (the package starts processes from 2,000 files
on). The efficiency is the gain over one, divided by how many. Fails where hashing takes more than 1.5 times
its floor or processes have an efficiency below 0.8.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

FLOOR, EFFICIENCY = 1.5, 0.8
SIDE = 224


def floor(path: Path) -> str:
    """Read and hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def each(work: Callable[[Any], Any], items: Iterable[Any]) -> None:
    for item in items:
        work(item)


def by(pool: Executor, work: Callable[[Any], Any], items: list[Any], passes: int) -> float:
    """Return the least seconds of several passes over the items, after one that is not counted."""
    each(lambda _: None, pool.map(work, items))
    return min(clock(lambda: each(lambda _: None, pool.map(work, items))) for _ in range(passes))


def measure(images: int, size: int, passes: int) -> dict[str, Any]:
    from g2d_bench.data import cache
    from g2d_bench.data import manifest as manifests
    from g2d_bench.data.manifest import Manifest
    from g2d_bench.data.parallel import _begin, _do
    from g2d_bench.phantom import ensure
    from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
    from g2d_bench.readers.registry import open_dataset

    with tempfile.TemporaryDirectory() as folder:
        os.environ["G2D_BENCH_CACHE"] = str(Path(folder) / "cache")
        ensure("rsna", root=Path(folder), count=images, size=size)
        dataset = open_dataset("rsna", Path(folder))
        manifest = Manifest.open(dataset)
        paths = [sample.path for sample in manifest.samples]
        hashed, bare = float("inf"), float("inf")
        for _ in range(passes + 1):
            bare = min(bare, clock(lambda: each(floor, paths)))
            hashed = min(hashed, clock(lambda: each(manifests._inspect, paths)))
        work = cache._Image(dataset, SIDE)
        items = list(zip(range(len(paths)), manifest.samples, map(tuple, manifest.sizes), strict=True))
        each(work, items)
        one = min(clock(lambda: each(work, items)) for _ in range(passes))
        gains = []
        workers = 2
        while workers <= cores():
            with ThreadPoolExecutor(workers) as threads:
                threaded = by(threads, work, items, passes)
            with worker_pool(workers, _begin, (work,)) as pool, deaf_to_interrupts():
                apart = by(pool, _do, [[item] for item in items], passes)
            gains.append(
                {
                    "workers": workers,
                    "threads": round(one / threaded / workers, 2),
                    "processes": round(one / apart / workers, 2),
                }
            )
            workers *= 2
        return {
            "images": len(paths),
            "size": size,
            "file_kb": round(sum(path.stat().st_size for path in paths) / len(paths) / 1024),
            "hash_ms": round(1000 * hashed / len(paths), 3),
            "floor_ms": round(1000 * bare / len(paths), 3),
            "ratio": round(hashed / bare, 2),
            "decode_ms": round(1000 * one / len(paths), 2),
            "efficiency": gains,
            "cores": cores(),
            "load": round(os.getloadavg()[0], 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measure(options.images, options.size, options.passes)
    text = json.dumps(found, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    slow = [one for one in found["efficiency"] if one["processes"] < EFFICIENCY]
    return 1 if found["ratio"] > FLOOR or slow else 0


if __name__ == "__main__":
    sys.exit(main())
