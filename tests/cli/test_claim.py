"""The command that holds a sentence of a paper against numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.report.model import GENERATED


def test_a_claim_is_told_per_task_on_measured_and_on_quoted_numbers(
    folder: Any, cli: Callable[..., Any]
) -> None:
    folder.grid({"mgca": 0.5, "g2d": 0.9, "g2d+decoder": 0.4}, (0.01, 1.0))
    result = cli(
        *("claim", "label-efficiency", "--encoder", "g2d", "--at", "1%", "--against", "all"),
        *("--at-peers", "100%", "--results", folder.root),
    )
    assert result.exit_code == 0, result.output
    measured, printed = result.stdout.split("quoted from papers")
    assert "claim: g2d with 1 % of the labels is better than every other encoder with 100 %" in measured
    assert "of 2 verdicts: holds in 1, does not hold in 1" in measured
    assert GENERATED in measured
    assert "scale and pre-training: " in measured
    assert "siim-seg, g2d, dice_positive" in measured
    assert "HOLDS\n    better than mgca (+" in measured
    assert "G2D (encoder-decoder)" in printed
    assert GENERATED not in printed

    data = json.loads(
        cli(
            "claim", "label-efficiency", "--encoder", "g2d", "--results", folder.root, "--format", "json"
        ).stdout
    )
    assert [one["outcome"] for one in data["measured"]] == ["holds", "fails"]
    assert data["data"] == GENERATED
    assert all(rival["p_holm"] is None for one in data["quoted"] for rival in one["rivals"])


def test_without_records_the_printed_numbers_are_asked(cli: Callable[..., Any]) -> None:
    result = cli("claim", "label-efficiency", "--encoder", "mgca", "--at", "10%", "--task", "rsna-cls")
    assert result.exit_code == 0
    assert "no measured numbers: runs is not there" in result.stderr
    assert "rsna-cls, MGCA, AUC" in result.stdout
    assert "siim" not in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoder", "g2d", "--at", "1x"), "--at: '1x' is not a fraction"),
        (("--encoder", "g2d", "--at-peers", "0"), "--at-peers: '0' is outside"),
        (
            ("--encoder", "g3d", "--on", "measured"),
            "--encoder: no record of encoder g3d; did you mean 'g2d'?",
        ),
        (("--encoder", "g2d", "--against", "mgaa"), "--against: no record of encoder mgaa"),
        (("--encoder", "g2d", "--task", "nowhere"), "no record of task nowhere"),
    ],
)
def test_bad_input_is_one_line(
    folder: Any, cli: Callable[..., Any], options: tuple[str, ...], message: str
) -> None:
    folder.grid({"mgca": 0.5, "g2d": 0.9}, (0.01, 1.0))
    result = cli("claim", "label-efficiency", "--results", folder.root, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
