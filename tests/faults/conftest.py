"""The command line in processes of its own, on forty tiny films."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

KINDS = ("lost", "torn", "silent", "left", "tracebacks", "hangs")
"""What a try can end in that it must not."""
COUNTS: dict[str, Counter[str]] = {}


@pytest.fixture
def tally() -> Callable[..., None]:
    """Count a try of a test of the campaign, and what went wrong in it; the table comes at the end."""

    def count(test: str, tries: int = 1, **faults: int) -> None:
        assert not set(faults) - set(KINDS)
        COUNTS.setdefault(test, Counter()).update(tries=tries, **faults)

    return count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the campaign's table, as docs/reliability.md has it."""
    if COUNTS:
        terminalreporter.section("faults")
        terminalreporter.write_line("| test | tries | " + " | ".join(KINDS) + " |")
        terminalreporter.write_line("|---|" + "---|" * (1 + len(KINDS)))
        for test, found in COUNTS.items():
            terminalreporter.write_line(
                f"| {test} | " + " | ".join(str(found[one]) for one in ("tries", *KINDS)) + " |"
            )


Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(tiny_root: Path, quick_protocols: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``g2d-bench run`` (or another command) beside this process; what is left of it is ended."""
    started: list[Process] = []

    def begin(*arguments: str, cache: Path | str, results: Path | str, **given: Any) -> Process:
        environment: Mapping[str, str] = {
            **os.environ,
            **{"G2D_BENCH_CACHE": str(cache), "G2D_BENCH_RESULTS": str(results)},
            **given.pop("env", {}),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "g2d_bench", *arguments],
            env={name: value for name, value in environment.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            cwd=given.pop("cwd", tmp_path),
            **given,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def grid(tiny_root: Path, quick_protocols: Path) -> Callable[..., list[str]]:
    """The arguments of a small run: one segmentation cell per seed."""

    def make(seeds: str = "0", *more: str) -> list[str]:
        return [
            *("run", "--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols)),
            *("--task", "covid-cxr-seg", "--encoder", "random", "--fraction", "100%"),
            *("--protocol", "quick", "--seed", seeds, *more),
        ]

    return make


def numbers(results: Path) -> dict[str, Any]:
    """Return each record's place to everything in it that must not depend on how it was made."""
    found = {}
    for path in sorted(results.rglob("*.json")):
        record = json.loads(path.read_bytes())
        kept = ("key", "signature", "metrics", "references", "predictions", "data", "encoder", "notes")
        record["notes"].pop("images_per_second", None)
        found[path.relative_to(results).as_posix()] = {name: record[name] for name in kept}
    return found


@pytest.fixture
def measured() -> Callable[[Path], dict[str, Any]]:
    """Read what a folder of results measured; see :func:`numbers`."""
    return numbers
