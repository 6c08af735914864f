"""None of the trackers stands in a run's way."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Pages, Setup, Told
from g2d_bench.report.trackers.watch import Watch, opened


class Loud:
    """A tracker that fails."""

    def __init__(self) -> None:
        self.cells = 0

    def cell(self, told: Told) -> None:
        self.cells += 1
        raise ConnectionError("no route\nto host")

    def end(self, pages: Pages) -> None:
        raise AssertionError("it went away")


class Quiet(Loud):
    """One that works."""

    ended = False

    def cell(self, told: Told) -> None:
        self.cells += 1

    def end(self, pages: Pages) -> None:
        self.ended = True


def test_one_that_fails_is_left_behind(folder: Any, pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    loud, quiet = Loud(), Quiet()
    watch = Watch({"loud": loud, "quiet": quiet})
    record = folder.add("g2d").record
    watch.cell(record)
    watch.cell(record)
    watch.end(lambda: pages)
    assert (loud.cells, quiet.cells, quiet.ended) == (1, 2, True)
    said = capsys.readouterr().err
    assert said.count("tracker loud: ConnectionError: no route; the run goes on without it") == 1


def test_nothing_is_made_for_nobody(folder: Any) -> None:
    watch = opened((), Setup("x", folder.root))
    assert not watch
    watch.cell(folder.add("g2d").record)
    watch.end(lambda: pytest.fail("no pages are needed"))


def test_names(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"tensorboard", "mlflow", "wandb", "trackio"} <= set(TRACKERS.names)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        InputError, match=r"--tracker: mlflow is not installed: pip install 'g2d-bench\[mlflow\]'"
    ):
        opened(("mlflow",), Setup("x", folder.root))
