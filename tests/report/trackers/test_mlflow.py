"""MLflow's public calls, one run per cell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Pages, Setup, Told

CALLS = ["set_experiment", "log_params", "log_metrics", "log_text", "log_image"]


@pytest.mark.parametrize("active", [None, "a run of the user's own"])
def test_a_run_per_cell_and_one_of_tables(
    spy: Callable[..., Any], setup: Setup, told: Told, pages: Pages, active: str | None
) -> None:
    runs: list[dict[str, Any]] = []

    def start_run(**keywords: Any) -> Any:
        runs.append(keywords)
        return nullcontext()

    library = spy("mlflow", CALLS, active_run=lambda: active, start_run=start_run)
    tracker = TRACKERS["mlflow"](setup)
    tracker.cell(told)
    tracker.end(pages)
    tracker.end(replace(pages, picture=None))
    assert library.of("set_experiment") == [(("chest",), {})]
    assert [run["run_name"] for run in runs] == [told.name, "tables", "tables"]
    assert {run["nested"] for run in runs} == {active is not None}
    assert runs[0]["tags"]["data"] == "generated"
    assert library.of("log_metrics")[0][0] == (told.metrics,)
    assert library.of("log_params")[0][0] == (told.parameters,)
    assert [arguments[1] for arguments, _ in library.of("log_text")][:3] == [
        "record.json",
        "tables.md",
        "records.csv",
    ]
    assert len(library.of("log_image")) == 1
