"""Several runs on one folder of results and one cache: each does a part, also where one is killed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Grid = Callable[..., list[str]]
Measured = Callable[[Path], dict[str, Any]]

OWN = re.compile(r"^\[.*: done(?:; WARNING.*)?(?<! \(another run\))$", re.MULTILINE)
OTHERS = re.compile(r"^\[.*: done(?:; WARNING.*)? \(another run\)$", re.MULTILINE)
SEEDS = "0-5"
CELLS = 6


def alone(start: Start, grid: Grid, measured: Measured, tmp_path: Path) -> tuple[dict[str, Any], str]:
    """Return what one run on a folder of its own measures, and its table."""
    only = start(*grid(SEEDS, "--jobs", "1"), cache=tmp_path / "own cache", results=tmp_path / "own")
    table, said = only.communicate(timeout=600)
    assert only.returncode == 0, said
    return measured(tmp_path / "own"), table


def clean(folder: Path) -> None:
    left = [path for path in folder.rglob(".*") if path.is_file()]
    assert not left, "claims and drafts must go"


@pytest.mark.parametrize("runs", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_runs_share_the_work(runs: int, start: Start, grid: Grid, measured: Measured, tmp_path: Path) -> None:
    wanted, table = alone(start, grid, measured, tmp_path)
    cache, results = tmp_path / "cache", tmp_path / "results"
    started = [
        start(*grid(SEEDS, "--jobs", "2" if n == 3 else "1"), cache=cache, results=results)
        for n in range(runs)
    ]
    ended = [process.communicate(timeout=900) for process in started]
    assert [process.returncode for process in started] == [0] * runs, ended
    assert measured(results) == wanted
    # Whatever each did, all of them show the whole.
    for shown, _ in ended:
        assert [line for line in table.splitlines() if line.startswith("random")] == [
            line for line in shown.splitlines() if line.startswith("random")
        ]
    own = [len(OWN.findall(said)) for _, said in ended]
    before = [
        int(found[1]) if (found := re.search(r"(\d+) of 6 cells were", shown)) else 0 for shown, _ in ended
    ]
    assert sum(own) == CELLS, "a cell was run twice"
    for mine, said, there in zip(own, (said for _, said in ended), before, strict=True):
        assert mine + len(OTHERS.findall(said)) + there == CELLS
    clean(results)
    clean(cache)


@pytest.mark.slow
def test_a_killed_run_leaves_its_part_to_the_others(
    start: Start, grid: Grid, measured: Measured, tmp_path: Path
) -> None:
    wanted, _ = alone(start, grid, measured, tmp_path)
    cache, results = tmp_path / "cache", tmp_path / "results"
    first, second = (start(*grid(SEEDS, "--jobs", "1"), cache=cache, results=results) for _ in range(2))
    deadline = time.monotonic() + 600
    while len(list(results.rglob("*.json"))) < 2:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=900)
    assert second.returncode == 0, said
    assert measured(results) == wanted
    # Claims and drafts of the killed one are there until the next run.
    again = start(*grid(SEEDS, "--jobs", "1"), cache=cache, results=results)
    shown, said = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert f"{CELLS} of {CELLS} cells were finished before" in shown
    clean(results)


@pytest.mark.slow
def test_a_forced_run_repeats_what_is_there_and_not_what_another_forced_run_has_just_repeated(
    start: Start, grid: Grid, measured: Measured, tmp_path: Path
) -> None:
    wanted, _ = alone(start, grid, measured, tmp_path)
    cache, results = tmp_path / "own cache", tmp_path / "own"
    started = [start(*grid(SEEDS, "--jobs", "1", "--force"), cache=cache, results=results) for _ in range(2)]
    said = [process.communicate(timeout=900)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert measured(results) == wanted
    done = sum(len(OWN.findall(one)) for one in said)
    # A run that begins when the other is half through repeats what that has done.
    assert CELLS <= done < 2 * CELLS
    clean(results)
