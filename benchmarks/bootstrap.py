"""Bootstrap by patient of a macro AUROC: one sort for all draws, beside a loop over scikit-learn.

The size is that of ChestX-ray14's official test set: 14 labels, 25,596 images, 2,797 patients. Both ways read
the same draws, so every draw that the loop computes must agree. The loop is timed on a few draws (it would
take minutes for all), ours on all of them; the ratio is per draw. Both run on one core; times are of that
core (process time), which other work on the machine disturbs least; the wall clock's stands beside them.

    python benchmarks/bootstrap.py [--draws 1000] [--loop 10] [--out benchmarks/results]

Writes bootstrap.json and bootstrap.md; fails where the numbers differ or all draws take over 10 s of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import clusters, general_replicates, interval, paired_p, patient_weights

LABELS, IMAGES, PATIENTS = 14, 25_596, 2_797
GOAL_SECONDS = 10.0
Arrays = dict[str, NDArray[Any]]


def predictions(targets: NDArray[np.float64], seed: int) -> Arrays:
    """One encoder's scores, in float16 as they are stored: with many ties."""
    noise = np.random.default_rng(seed).normal(0, 1, targets.shape)
    return {
        "id": np.arange(len(targets)),
        "scores": (1 / (1 + np.exp(-(targets - 2 + noise)))).astype(np.float16),
        "targets": targets,
    }


def loop(
    stored: Arrays, patients: NDArray[np.str_], weights: NDArray[np.float32]
) -> tuple[list[float], float]:
    """Repeat the drawn images and call scikit-learn label by label; return the values and the seconds."""
    index, _ = clusters(patients)
    scores, targets = stored["scores"].astype(np.float64), stored["targets"]
    start = time.process_time()
    values = []
    for row in weights:
        rows = np.repeat(np.arange(len(index)), row[index].astype(np.int64))
        values.append(np.mean([roc_auc_score(targets[rows, k], scores[rows, k]) for k in range(LABELS)]))
    return [float(value) for value in values], time.process_time() - start


def ours(stored: Arrays, patients: NDArray[np.str_], draws: int) -> tuple[NDArray[np.float64], float]:
    """Bootstrap all draws, the drawing and the sorting included; return the values and the seconds."""
    patient_weights.cache_clear()
    start = time.process_time()
    values = general_replicates(metric_spec("auroc").statistic(stored), patients, draws)
    return values, time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    patients = np.array([f"p{n:05d}" for n in generator.integers(0, PATIENTS, IMAGES)])
    prevalence = np.geomspace(0.004, 0.25, LABELS)
    targets = (generator.random((IMAGES, LABELS)) < prevalence).astype(np.float64)
    first, second = predictions(targets, 1), predictions(targets, 2)

    _, count = clusters(patients)
    few = patient_weights(count, options.draws)[: options.loop].copy()
    wanted, loop_seconds = loop(first, patients, few)
    wall = time.perf_counter()
    found, seconds = ours(first, patients, options.draws)
    wall = time.perf_counter() - wall
    start = time.process_time()
    p = paired_p(found, general_replicates(metric_spec("auroc").statistic(second), patients, options.draws))
    pair_seconds = seconds + time.process_time() - start
    difference = float(np.abs(found[: options.loop] - wanted).max())
    low, high = interval(found)
    per_draw = {"loop": 1e3 * loop_seconds / options.loop, "ours": 1e3 * seconds / options.draws}
    row = {
        "size": f"{LABELS} labels, {IMAGES} images, {count} patients",
        "loop_ms_per_draw": round(per_draw["loop"], 1),
        "loop_draws": options.loop,
        "ours_ms_per_draw": round(per_draw["ours"], 2),
        "ours_draws": options.draws,
        "ours_s": round(seconds, 2),
        "ours_wall_s": round(wall, 2),
        "ratio": round(per_draw["loop"] / per_draw["ours"], 1),
        "paired_s": round(pair_seconds, 2),
        "largest_difference": difference,
        "interval": [round(low, 4), round(high, 4)],
        "p": p,
    }
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    notes = ", ".join(f"{key} {value}" for key, value in machine.items())
    text = (
        "# Bootstrap by patient of a macro AUROC\n\n"
        "| test set | scikit-learn, ms per draw | ours, ms per draw | ratio | ours, all draws (wall clock) |"
        " two encoders compared | largest difference |\n|---|---|---|---|---|---|---|\n"
        f"| {row['size']} | {row['loop_ms_per_draw']} ({options.loop} draws) | {row['ours_ms_per_draw']} "
        f"| **{row['ratio']}×** | {row['ours_s']} s ({row['ours_wall_s']} s), {options.draws} draws "
        f"| {row['paired_s']} s | {difference:.0e} |\n\nBy `python benchmarks/bootstrap.py`: {notes}.\n"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "bootstrap.json": json.dumps({"machine": machine, "row": row}, indent=2) + "\n",
        "bootstrap.md": text,
    }.items():
        draft = options.out / f".{name}.tmp"
        draft.write_text(content)
        draft.replace(options.out / name)
    print(text)
    return 0 if difference < 1e-12 and seconds <= GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
