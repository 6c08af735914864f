"""A sweep of five linear probes, from DICOM to numbers: ours beside kaiko-eva, both as whole processes.

kaiko-eva needs an environment of its own, in which its half (peer_eva_job.py) runs:

    python3 -m venv eva && eva/bin/pip install 'kaiko-eva[vision]==0.4.5' pydicom
    python benchmarks/peer_eva.py --eva eva/bin/python [--images 1000] [--rounds 2] [--out benchmarks/results]

Both read the same generated RSNA films, the same split and labels, and the same encoder (the shipped G2D; for
kaiko-eva traced by torch.jit, preprocessing included). Ours is the command `run`, with an empty cache and its
table. kaiko-eva's is `predict_fit` with the optimiser, batch, patience and metric of its own configuration of
a binary task (PatchCamelyon), loading without workers, which is its quickest way for small films. That
patience is meant for 262,144 images. With a few hundred an epoch has three steps, and heads end early, or
untrained; so a second row gives it 200 epochs and lets AUROC choose. One thread each; seconds are those of
the processor (user and system, of all processes), in turns, and the fastest run counts. Generating films is
not timed. Writes peer_eva.json and peer_eva.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch

TASK, ENCODER, SIZE, SEEDS = "rsna-cls", "g2d", 128, 5
BATCH = 256
JOB = Path(__file__).with_name("peer_eva_job.py")
PEERS = {
    "kaiko-eva, its own patience": {"patience": 9, "epochs": None, "monitor": "BinaryBalancedAccuracy"},
    "kaiko-eva, 200 epochs, best by AUROC": {"patience": 200, "epochs": 200, "monitor": "BinaryAUROC"},
}


def prepare(folder: Path, images: int) -> dict[str, Any]:
    """Generate films and trace the encoder; return what the peer needs to know of both."""
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.settings import Settings
    from g2d_bench.encoders.load import load_encoder
    from g2d_bench.phantom import ensure
    from g2d_bench.records.cell import Cell

    ensure("rsna", root=folder / "data", count=images, size=SIZE, workers=os.cpu_count() or 1)
    bench = Bench(Settings(data_root=folder / "data", results=folder / "runs"))
    encoder = load_encoder(bench.catalogue.encoders[ENCODER], seed=0, text=False)
    encoder.image.eval()

    class Whole(torch.nn.Module):
        """From 8-bit films [B, S, S] to vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.image = encoder.image

        def forward(self, films: torch.Tensor) -> torch.Tensor:
            pooled: torch.Tensor = self.image(encoder.preprocess(films)).pooled
            return pooled

    with torch.no_grad():
        films = torch.randint(0, 256, (2, SIZE, SIZE), dtype=torch.uint8)
        torch.jit.trace(Whole(), films, check_trace=False).save(str(folder / "encoder.pt"))
    data = bench.resolve(Cell(task=TASK, fraction=1.0, protocol="clean", seed=0, encoder=ENCODER)).data()
    rows = []
    for part in ("train", "val", "test"):
        ids = getattr(data, part)
        for name, target in zip(ids, data.targets(ids)[:, 0].tolist(), strict=True):
            sample = data.manifest.samples[data.manifest.index[name]]
            rows.append({"path": str(sample.path), "label": int(target), "part": part})
    return {
        "rows": rows,
        "features": encoder.image.num_features,
        "encoder": str(folder / "encoder.pt"),
        "runs": SEEDS,
        "batch": BATCH,
    }


def timed(command: list[str], env: dict[str, str], log: Path) -> tuple[float, str]:
    """Run a program; return its processor seconds, children included, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("w") as stream:
        done = subprocess.run(command, env=env, stdout=stream, stderr=subprocess.STDOUT, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = log.read_text()
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-4000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, said


def ours(folder: Path, turn: int) -> tuple[float, list[float]]:
    """Run our command with an empty cache; return seconds and the AUROC of every seed."""
    results = folder / f"runs{turn}"
    command = [sys.executable, "-m", "g2d_bench", "run", "--task", TASK, "--encoder", ENCODER]
    command += ["--fraction", "100%", "--seed", f"0-{SEEDS - 1}", "--jobs", "1"]
    command += ["--data-root", str(folder / "data"), "--results", str(results)]
    env = os.environ | {"G2D_BENCH_CACHE": str(folder / f"cache{turn}"), "OMP_NUM_THREADS": "1"}
    seconds, _ = timed(command, env, folder / "ours.log")
    records = [json.loads(path.read_text()) for path in sorted(results.rglob("*.json"))]
    return seconds, [record["metrics"]["auroc"] for record in records]


def theirs(folder: Path, python: Path, plan: dict[str, Any]) -> tuple[float, list[float], dict[str, str]]:
    """Run kaiko-eva; return seconds, the AUROC of every run, and versions."""
    file = folder / "plan.json"
    file.write_text(json.dumps(plan | {"out": tempfile.mkdtemp(prefix="peer-", dir=folder)}))
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(python), str(JOB), str(file)]
    seconds, said = timed(command, env, folder / "peer.log")
    found = json.loads(re.findall(r"^RESULT (.*)$", said, re.MULTILINE)[-1])
    return seconds, found["auroc"], found["versions"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--eva", type=Path, required=True, help="Python of kaiko-eva's environment")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    if not options.eva.is_file():
        parser.error(f"--eva: {options.eva} is no file")
    with tempfile.TemporaryDirectory(prefix="g2d-bench-") as name:
        folder = Path(name)
        os.environ["G2D_BENCH_CACHE"] = str(folder / "cache")
        plan = prepare(folder, options.images)
        sizes = Counter(row["part"] for row in plan["rows"])
        runs: dict[str, list[tuple[float, list[float]]]] = {way: [] for way in ("ours", *PEERS)}
        versions: dict[str, str] = {}
        for turn in range(options.rounds):
            runs["ours"].append(ours(folder, turn))
            for way, rule in PEERS.items():
                seconds, scores, versions = theirs(folder, options.eva, plan | rule)
                runs[way].append((seconds, scores))
    first = min(seconds for seconds, _ in runs["ours"])
    rows: list[dict[str, Any]] = [
        {
            "way": way,
            "seconds": [round(seconds, 1) for seconds, _ in found],
            "ratio": round(min(seconds for seconds, _ in found) / first, 1),
            "auroc": [round(score, 4) for score in found[-1][1]],
        }
        for way, found in runs.items()
    ]
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": 1,
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        **{f"peer's {key}": value for key, value in versions.items()},
    }
    counts = ", ".join(f"{count} {part}" for part, count in sizes.items())
    text = "\n".join(
        [
            "# Five linear probes from DICOM to numbers, beside kaiko-eva",
            "",
            "| way | processor seconds of each run | fastest / ours | mean AUROC |",
            "|---|---|---|---|",
            *(
                f"| {row['way']} | {', '.join(map(str, row['seconds']))} | {row['ratio']} | "
                f"{sum(row['auroc']) / len(row['auroc']):.3f} |"
                for row in rows
            ),
            "",
            f"Generated data ({TASK}: {counts} images of {SIZE}² px), the shipped encoder `{ENCODER}`, whole "
            "processes from their start. Ours: five seeds with seven penalties each, all metrics, records "
            "and a table with intervals. kaiko-eva: features as files, then five runs of its head. Its "
            "patience is meant for 262,144 images; here an epoch has "
            f"{math.ceil(sizes['train'] / BATCH)} step(s).",
            "",
            "By `python benchmarks/peer_eva.py`: "
            + ", ".join(f"{key} {value}" for key, value in machine.items())
            + ".",
            "",
        ]
    )
    options.out.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"machine": machine, "sizes": sizes, "rows": rows}, indent=2) + "\n"
    (options.out / "peer_eva.json").write_text(content)
    (options.out / "peer_eva.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
