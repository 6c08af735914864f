"""Which records the commands look at, and what they say of those that they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_words_that_nothing_has_are_named_where_others_have_one(folder: Any, cli: Callable[..., Any]) -> None:
    folder.grid({"g2d": 0.6})
    for command in (["table"], ["figure", "curves"], ["leaderboard"], ["compact", folder.root, "small"]):
        result = cli(*command, "--encoder", "g2d,mgac", "--seed", "0,7")
        assert result.exit_code == 0, result.output
        assert "--encoder: no record of encoder mgac; allowed: g2d\n" in result.stderr
        assert "--seed: no record of seed 7; there are 0, 1, 2\n" in result.stderr
    assert cli("table", "--encoder", "g2d").stderr == ""


def test_a_main_metric_without_a_card_is_told(folder: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", task="my-own-task")
    assert cli("table", "--summary").stderr.startswith(
        "my-own-task under clean: no card here, so its first metric"
    )
    assert cli("table").stderr == ""
    folder.add("g2d")
    assert "siim-seg" not in cli("table", "--summary").stderr
