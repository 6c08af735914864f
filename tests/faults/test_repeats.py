"""The same cells with one process and two, cold and warm, in other folders: not a byte differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("G2D_BENCH_REPEATS", "20"))
TASKS = {
    "classification": "rsna-cls",
    "segmentation": "rsna-seg",
    "detection": "rsna-det",
    "zero-shot": "rsna-zeroshot",
    "grounding": "rsna-ground",
    "phrase": "ms-cxr-phrase",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets of small films."""
    root = tmp_path_factory.mktemp("tiny")
    line = ["data", "phantom", "rsna", "ms-cxr", "--count", "120", "--size", "64", "--out", str(root)]
    subprocess.run([sys.executable, "-m", "g2d_bench", *line], check=True, capture_output=True)
    return root


@pytest.mark.campaign
@pytest.mark.parametrize("kind", TASKS)
def test_jobs_and_caches_move_nothing(kind: str, tiny: Path) -> None:
    """Twenty rounds of each kind; ``G2D_BENCH_REPEATS`` says how many."""
    line = ["--rounds", str(ROUNDS), "--task", TASKS[kind], "--data-root", str(tiny)]
    cells = ["--encoder", "random,g2d", "--fraction", "100%", "--seed", "0,1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "repeats.py"), *line, *cells],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"0 of {ROUNDS} rounds differ from the first"
