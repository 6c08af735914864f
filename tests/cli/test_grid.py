"""Shares of a plan, plans for programs, and folders that become one, as a user calls them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GRID = ("--task", "covid-cxr-seg", "--encoder", "random,g2d", "--seed", "0-1", "--fraction", "1")
Cli = Callable[..., Any]


def cells(output: str) -> list[str]:
    return [line.rpartition(":")[0] for line in output.splitlines() if " · clean:" in line]


def test_shards_are_the_plan(cli: Cli, tiny_root: Path) -> None:
    whole = cells(cli("plan", *GRID, "--data-root", tiny_root).output)
    parts = [cli("plan", *GRID, "--data-root", tiny_root, "--shard", f"{n}/3") for n in (1, 2, 3)]
    assert [part.exit_code for part in parts] == [0, 0, 0]
    found = [cells(part.output) for part in parts]
    assert sorted(line for lines in found for line in lines) == sorted(whole)
    assert max(map(len, found)) == 2
    assert "shard 1/3: " in parts[0].stderr


def test_an_array_of_slurm_says_which(cli: Cli, tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ID": 4, "COUNT": 4, "MIN": 1, "MAX": 4}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    result = cli("run", *GRID, "--data-root", tiny_root, "--shard", "auto", "--dry-run")
    assert "shard 4/4: 1 of 4 cells" in result.stderr


def test_more_shards_than_work(cli: Cli, tiny_root: Path) -> None:
    result = cli("run", *GRID, "--data-root", tiny_root, "--shard", "9/9")
    assert result.exit_code == 0
    assert "shard 9/9: 0 of 4 cells" in result.stderr


@pytest.mark.parametrize("options", [("--shard", "5/4"), ("--shard", "1/2", "--timings", "nowhere")])
def test_a_wrong_shard_is_one_line(cli: Cli, tiny_root: Path, options: tuple[str, ...]) -> None:
    result = cli("run", *GRID, "--data-root", tiny_root, *options)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("g2d-bench: ")
    assert options[-2] in line


def test_times_balance_shards(cli: Cli, tiny_root: Path, folder: Any) -> None:
    for seed in (0, 1):
        for encoder, seconds in {"random": 1.0, "g2d": 50.0}.items():
            folder.add(
                encoder,
                0.5,
                task="covid-cxr-seg",
                fraction=1.0,
                seed=seed,
                seconds={"train and predict": seconds},
            )
    shard = ("--shard", "1/2", "--timings", folder.root)
    mine = cells(cli("plan", *GRID, "--data-root", tiny_root, *shard).output)
    assert sorted(line.split(" · ")[1] for line in mine) == ["g2d", "random"]


def test_a_plan_as_commands_is_the_plan_again(cli: Cli, tiny_root: Path) -> None:
    linear = ("--task", "rsna-cls", "--encoder", "random", "--seed", "0-2", "--phantom")
    result = cli("plan", *linear, "--format", "commands")
    [line] = result.stdout.splitlines()
    program, command, *words = shlex.split(line)
    assert (program, command) == ("g2d-bench", "run")
    again = json.loads(cli("plan", *words, "--format", "json").stdout)
    [unit] = again["units"]
    assert len(unit["cells"]) == 9, "three fractions and three seeds share their features"
    assert unit["command"] == line
    assert {cell["finished"] for cell in unit["cells"]} == {False}
    lines = cli("plan", *GRID, "--data-root", tiny_root, "--format", "commands").stdout.splitlines()
    assert len(lines) == 4


def test_merge_names_what_it_did(cli: Cli, folder: Any, other: Any, tmp_path: Path) -> None:
    folder.add("g2d")
    other.add("mgca", 0.5)
    result = cli("merge", folder.root, other.root, "--into", tmp_path / "all")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("2 records new, 0 there already, 0 failed cells new\n")
    other.add("g2d", 0.9)
    result = cli("merge", folder.root, other.root, "--into", tmp_path / "more")
    assert result.exit_code == 1
    assert result.stderr.startswith("conflict: siim-seg · g2d · 1 %")
    assert not (tmp_path / "more").exists()
