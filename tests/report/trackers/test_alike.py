"""What Weights & Biases and trackio have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from g2d_bench.report.trackers.alike import Alike
from g2d_bench.report.trackers.base import Pages, Setup, Told


def test_every_run_that_is_begun_is_ended(
    spy: Callable[..., Any], setup: Setup, told: Told, pages: Pages
) -> None:
    library = spy("likely", ["init", "log", "finish", "Table", "Image"])
    tracker = Alike("likely", setup, mode="x")
    tracker.cell(told)
    tracker.end(pages)
    tracker.end(replace(pages, picture=None))
    (first, *_) = library.of("init")
    assert first[1]["project"] == "chest"
    assert first[1]["name"] == told.name
    assert first[1]["mode"] == "x"
    assert first[1]["config"]["signature"] == told.parameters["signature"]
    assert len(library.of("init")) == len(library.of("finish")) == 3
    assert library.of("log")[0][0] == (told.metrics,)
    assert library.of("log")[1][0] == ({"records": "Table", "curves": "Image"},)
    assert library.of("log")[2][0] == ({"records": "Table"},)
    assert library.of("Table")[0][1]["dataframe"] is pages.rows
