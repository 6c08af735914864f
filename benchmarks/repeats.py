"""The same cells again and again: one process and two, cold and warm caches, other folders and orders.

Every metric and every predictions file must be the same to the last byte, however the work was laid out. Each
round runs the grid of tasks in a folder of its own. The tasks are asked for in another order each time, and
in some rounds by a command each ("apart"), so that what cells leave in the caches for others differs, too.

Run: python benchmarks/repeats.py [--rounds 20] [--task rsna-zeroshot,rsna-ground]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROTOCOLS = Path(__file__).resolve().parents[1] / "tasks" / "protocols"
LAYOUTS = tuple((jobs, state) for state, jobs in itertools.product(("cold", "warm", "apart"), (1, 2)))
TASKS = ("rsna-zeroshot", "rsna-ground", "ms-cxr-phrase", "rsna-cls", "rsna-seg", "rsna-det")
QUICK = {"epochs": 1, "min_steps": 12, "max_steps": 12, "validate_every": 6}


def quick_protocols(folder: Path) -> Path:
    """Write the shipped protocols with a handful of training steps, as ``quick`` and ``quick-finetune``."""
    for name in ("clean", "clean-finetune"):
        text = (PROTOCOLS / f"{name}.toml").read_text()
        for key, value in QUICK.items():
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        (folder / f"{name.replace('clean', 'quick')}.toml").write_text(text)
    return folder


def outcome(results: Path) -> dict[str, tuple[str, str]]:
    """Return each record's place to its metrics and the hash of its predictions."""
    found = {}
    for path in sorted(results.rglob("*.json")):
        record = json.loads(path.read_text())
        kept = record.get("predictions") or {}
        metrics = json.dumps([record.get("metrics"), record.get("references"), record.get("error")])
        found[str(path.relative_to(results))] = (metrics, kept.get("sha256", ""))
    return found


def main() -> None:
    """Run the rounds and say what differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--task", default=",".join(TASKS))
    parser.add_argument("--encoder", default="random,convirt,gloria,mgca,g2d")
    parser.add_argument("--fraction", default="1%,100%")
    parser.add_argument("--seed", default="0,1")
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--phantom", type=Path, help="folder of generated data to share")
    parser.add_argument("--data-root", type=Path, help="folder of other data, in the place of generated ones")
    given = parser.parse_args()
    given.data_root = given.data_root and given.data_root.resolve()
    with tempfile.TemporaryDirectory(prefix="g2d-bench-repeats-") as name:
        folder = Path(name)
        phantom = (given.phantom or folder / "phantom").resolve()
        phantom.mkdir(parents=True, exist_ok=True)
        protocols = folder / "protocols"
        protocols.mkdir()
        quick_protocols(protocols)
        first: dict[str, tuple[str, str]] = {}
        cache, differing = folder / "none", 0
        for number in range(given.rounds):
            jobs, state = LAYOUTS[number % len(LAYOUTS)]
            if state != "warm":
                cache = folder / f"cache{number}"
                cache.mkdir()
                (cache / "phantom").symlink_to(phantom)
            tasks = given.task.split(",")
            random.Random(number).shuffle(tasks)
            results, start = folder / f"results{number}", time.monotonic()
            for asked in tasks if state == "apart" else [",".join(tasks)]:
                command = [
                    *(
                        sys.executable,
                        "-m",
                        "g2d_bench",
                        "run",
                        *(("--data-root", str(given.data_root)) if given.data_root else ("--phantom",)),
                        "--protocols-dir",
                        str(protocols),
                    ),
                    *("--task", asked, "--encoder", given.encoder, "--seed", given.seed),
                    *("--fraction", given.fraction, "--protocol", given.protocol),
                    *("--results", str(results), "--jobs", str(jobs)),
                ]
                environment = {**os.environ, "G2D_BENCH_CACHE": str(cache)}
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"round {number} ended with {done.returncode}: {done.stderr[-2000:]}")
            now = outcome(results)
            first = first or now
            other = [cell for cell in sorted({*first, *now}) if first.get(cell) != now.get(cell)]
            differing += bool(other)
            print(
                f"round {number}: {jobs} job(s), {state}, {len(now)} records, "
                f"{time.monotonic() - start:.0f} s, {len(other)} differ",
                flush=True,
            )
            for cell in other:
                same = first.get(cell, ("", ""))[0] == now.get(cell, ("", ""))[0]
                print(f"    {cell}: {'predictions' if same else 'metrics'} differ", flush=True)
    print(f"{differing} of {given.rounds} rounds differ from the first")
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
