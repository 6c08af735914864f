"""The tracker of that name calls the library of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Setup, Told


def test_it_logs_to_its_library(spy: Callable[..., Any], setup: Setup, told: Told) -> None:
    library = spy("wandb", ["init", "log", "finish"])
    TRACKERS["wandb"](setup).cell(told)
    assert [name for name, *_ in library.noted] == ["init", "log", "finish"]
    (begun,) = library.of("init")
    assert begun[1]["project"] == "chest"
    assert begun[1]["reinit"] is True
