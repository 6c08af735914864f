"""How many radiographs the phantom makes in a second of a processor, and with all processors.

    python benchmarks/phantom_speed.py [--dataset siim] [--size 256] [--count 200] [--workers 2]
    python benchmarks/phantom_speed.py --against CHECKOUT [--rounds 3]

With ``--against`` another checkout's films are timed, too, by its own copy of this script, in turns with
these, each time in a new process; what counts is the processor's time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def burn(task: tuple[str, int, int, int]) -> tuple[int, float]:
    from g2d_bench.phantom import generate, profile_of

    dataset, start, stop, size = task
    profile = profile_of(dataset)
    generate(dataset, 10**6, seed=0, size=size, profile=profile)  # fills the noise banks
    before = time.process_time()
    for index in range(start, stop):
        generate(dataset, index, seed=0, size=size, profile=profile)
    return stop - start, time.process_time() - before


def rate(checkout: Path, words: list[str]) -> float:
    """Return the films per second of a processor that a checkout makes, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    script = checkout / "benchmarks" / Path(__file__).name
    done = subprocess.run(
        [sys.executable, str(script), *words], env=environment, cwd=checkout, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}: {done.stderr[-1000:]}")
    return float(json.loads(done.stdout)["images_per_cpu_second"])


def against(other: Path, rounds: int, words: list[str]) -> None:
    """Print the rates of two checkouts, taken in turns, and their ratio."""
    places = {"there": other.resolve(), "here": HERE}
    rates: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(rounds):
        for name, checkout in places.items():
            rates[name].append(rate(checkout, words))
    middle = {name: statistics.median(found) for name, found in rates.items()}
    print(json.dumps({**rates, "ratio": round(middle["here"] / middle["there"], 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="siim")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.against is not None:
        words = ["--size", str(options.size), "--count", str(options.count), "--workers", "1"]
        # Older copies know one data set.
        words += ["--dataset", options.dataset] if options.dataset != "siim" else []
        against(options.against, options.rounds, words)
        return
    share = options.count // options.workers
    tasks = [
        (options.dataset, place * share, (place + 1) * share, options.size)
        for place in range(options.workers)
    ]
    before = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        done = list(pool.map(burn, tasks))
    wall = time.perf_counter() - before
    images, cpu = sum(count for count, _ in done), sum(seconds for _, seconds in done)
    result = {
        "dataset": options.dataset,
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
