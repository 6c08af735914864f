"""How many radiographs per second the phantom makes, per process and with all processors.

Run: python benchmarks/phantom_speed.py [--size 256] [--count 200] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor

from g2d_bench.phantom import generate, profile_of


def burn(task: tuple[int, int, int]) -> tuple[int, float]:
    start, stop, size = task
    profile = profile_of("siim")
    generate("siim", 10**6, seed=0, size=size, profile=profile)  # fills the noise banks
    before = time.process_time()
    for index in range(start, stop):
        generate("siim", index, seed=0, size=size, profile=profile)
    return stop - start, time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    share = options.count // options.workers
    tasks = [(place * share, (place + 1) * share, options.size) for place in range(options.workers)]
    before = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        done = list(pool.map(burn, tasks))
    wall = time.perf_counter() - before
    images, cpu = sum(count for count, _ in done), sum(seconds for _, seconds in done)
    result = {
        "size": options.size,
        "images": images,
        "workers": options.workers,
        "images_per_cpu_second": round(images / cpu, 1),
        "images_per_second_with_start": round(images / wall, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
