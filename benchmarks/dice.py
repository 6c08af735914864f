"""Dice of a test set: bits counted, beside the usual sums of float masks, same masks, same numbers.

The usual way: masks as float tensors, per image 2 |P ∩ T| / (|P| + |T|) by products and sums. Ours counts
bits of packed masks, once with the packing of boolean masks included and once from packed masks as cached.
All go through the test set in batches, as masks come from a model.
All run on one core; times are of that core (process time), which other work on the machine disturbs least.

    python benchmarks/dice.py [--repeats 11] [--out benchmarks/results]

Writes dice.json and dice.md; fails where the numbers differ or the ratio is below 10.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from g2d_bench.metrics.segmentation import counts, segmentation_metrics

CASES = [(512, 512), (512, 256), (2048, 224)]
"""Images, pixels per side."""
BATCH = 32
GOAL = 10.0
NAME = "dice_legacy"
Masks = NDArray[np.bool_]


def usual(predicted: torch.Tensor, true: torch.Tensor) -> float:
    """Masks [N, H, W] as floats; an image without truth scores 1 if nothing is predicted, else 0."""
    found = []
    for n in range(0, len(true), BATCH):
        p, t = (masks[n : n + BATCH].flatten(1).float() for masks in (predicted, true))
        common, sums = (p * t).sum(1), p.sum(1) + t.sum(1)
        found.append(torch.where(t.sum(1) == 0, (p.sum(1) == 0).float(), 2 * common / sums.clamp_min(1)))
    return float(torch.cat(found).double().mean())


def from_bits(predicted: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    return segmentation_metrics(*counts(predicted, true), names=(NAME,))[NAME]


def pack(masks: Masks) -> NDArray[np.uint8]:
    flat = masks.reshape(len(masks), -1)
    return np.concatenate([np.packbits(flat[n : n + BATCH], axis=1) for n in range(0, len(flat), BATCH)])


def masks(images: int, side: int, seed: int) -> Masks:
    """Rectangles on a half of the images."""
    generator = np.random.default_rng(seed)
    found = np.zeros((images, side, side), np.bool_)
    for n in np.flatnonzero(generator.random(images) < 0.5):
        top, left, height, width = generator.integers(1, side // 2, 4)
        found[n, top : top + height, left : left + width] = True
    return found


def race(ways: dict[str, Callable[[], float]], repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Time the ways in turns, so that a busy machine disturbs all alike; return values and milliseconds."""
    values = {name: way() for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(1e3 * (time.process_time() - start))
    return values, {name: statistics.median(spent) for name, spent in times.items()}


def measure(images: int, side: int, repeats: int) -> dict[str, Any]:
    predicted, true = masks(images, side, 1), masks(images, side, 2)
    tensors = torch.from_numpy(predicted), torch.from_numpy(true)
    bits = pack(predicted), pack(true)
    values, spent = race(
        {
            "usual": lambda: usual(*tensors),
            "packing": lambda: from_bits(pack(predicted), pack(true)),
            "packed": lambda: from_bits(*bits),
        },
        repeats,
    )
    return {
        "size": f"{images} x {side}²",
        **{f"{name}_ms": round(value, 2) for name, value in spent.items()},
        "ratio_packing": round(spent["usual"] / spent["packing"], 1),
        "ratio_packed": round(spent["usual"] / spent["packed"], 1),
        "largest_difference": max(abs(value - values["packed"]) for value in values.values()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(*case, options.repeats) for case in CASES]
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "statistic": f"median of {options.repeats} calls, in turns",
    }
    table = [
        "| masks | float sums, ms | pack, count, ms | ratio | count packed, ms | ratio | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    table += [
        f"| {row['size']} | {row['usual_ms']} | {row['packing_ms']} | **{row['ratio_packing']}×** "
        f"| {row['packed_ms']} | **{row['ratio_packed']}×** | {row['largest_difference']:.0e} |"
        for row in rows
    ]
    notes = ", ".join(f"{key} {value}" for key, value in machine.items())
    text = "# Dice of a test set\n\n" + "\n".join(table) + f"\n\nBy `python benchmarks/dice.py`: {notes}.\n"
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "dice.json": json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n",
        "dice.md": text,
    }.items():
        draft = options.out / f".{name}.tmp"
        draft.write_text(content)
        draft.replace(options.out / name)
    print(text)
    good = all(row["largest_difference"] < 1e-6 and row["ratio_packing"] >= GOAL for row in rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
