"""A planted shortcut is found by looking at groups: over all films more is right than within views."""

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
        options = ["--count", 2400, "--size", 64, "--out", root, *more]
        assert cli("data", "phantom", "rsna", *options).exit_code == 0
        grid = ["--task", "rsna-cls", "--encoder", "random", "--fraction", "100%"]
        done = cli("run", *grid, "--data-root", root, "--results", tmp_path / f"runs-{name}")
        assert done.exit_code == 0, done.output
    whole, within = {}, {}
    for name in ("planted", "plain"):
        made = cli("table", "--by", "view", "--results", tmp_path / f"runs-{name}", "--format", "json")
        (table,) = json.loads(made.stdout)
        assert table["generated"]
        means = {value["column"][0]: value["mean"] for value in table["rows"][0]["values"]}
        whole[name], within[name] = means["all"], (means["view AP"] + means["view PA"]) / 2
    assert whole["planted"] > whole["plain"] + 5
    # Films of one view differ from those of the other in how hard they are, with a shortcut and without.
    assert whole["planted"] - within["planted"] > whole["plain"] - within["plain"] + 3
