"""A planted shortcut is found by looking at groups: high over all films, low within each view."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_a_view_that_gives_the_target_away_is_found(
    cli: Callable[..., Any], tmp_path: Path, own_cache: Path
) -> None:
    for name, more in (("planted", ["--shortcut", "view"]), ("plain", [])):
        root = tmp_path / name
        options = ["--count", 600, "--size", 64, "--out", root, *more]
        assert cli("data", "phantom", "rsna", *options).exit_code == 0
        grid = ["--task", "rsna-cls", "--encoder", "random", "--fraction", "100%"]
        done = cli("run", *grid, "--data-root", root, "--results", tmp_path / f"runs-{name}")
        assert done.exit_code == 0, done.output
    scores = {}
    for name in ("planted", "plain"):
        made = cli("table", "--by", "view", "--results", tmp_path / f"runs-{name}", "--format", "json")
        (table,) = json.loads(made.stdout)
        scores[name] = {value["column"][0]: value for value in table["rows"][0]["values"]}
        assert table["generated"]
    planted, plain = scores["planted"], scores["plain"]
    assert planted["all"]["mean"] > plain["all"]["mean"] + 5
    for view in ("view AP", "view PA"):
        assert planted[view]["mean"] < planted["all"]["mean"] - 5
