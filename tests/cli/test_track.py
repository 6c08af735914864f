"""`run --tracker`: names and libraries are looked at before anything is run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.cells import workers
from g2d_bench.report.trackers.base import Pages, Setup, Told

RUN = ("run", "--phantom", "--task", "siim-seg", "--encoder", "random", "--fraction", "1%")


def test_bad_names_and_missing_libraries_are_one_line(
    cli: Callable[..., Any], refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "execute", lambda *_, **__: pytest.fail("nothing is run"))
    refused(cli(*RUN, "--tracker", "tensorbord"), "tensorbord")
    monkeypatch.setitem(sys.modules, "wandb", None)
    refused(cli(*RUN, "--tracker", "wandb"), "wandb is not installed")


def test_a_run_is_shown(folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is run is the business of `execute`; here: the trackers hear of it."""
    from g2d_bench.report.trackers import TRACKERS

    heard: list[object] = []

    class Spy:
        def __init__(self, setup: Setup) -> None:
            heard.append(setup.project)

        def cell(self, told: Told) -> None:
            heard.append(told.parameters["encoder"])

        def end(self, pages: Pages) -> None:
            heard.append("siim-seg" in pages.tables)

    found = folder.add("random")

    def execute(cells: Any, bench: Any, executor: Any, watch: Any) -> workers.Report:
        watch(found.record)
        return workers.Report(found=[found])

    monkeypatch.setitem(TRACKERS._found, "tensorboard", Spy)
    monkeypatch.setattr(workers, "execute", execute)
    result = cli(*RUN, "--tracker", "tensorboard", "--tracker-project", "chest")
    assert result.exit_code == 0, result.output
    assert heard == ["chest", "random", True]
