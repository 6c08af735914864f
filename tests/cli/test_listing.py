"""What there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from g2d_bench.cli.main import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))


def _call(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("what", ["tasks", "encoders", "datasets", "protocols", "labels"])
def test_lists_are_tables_and_json(what: str) -> None:
    rows = json.loads(_call("list", what, "--json").output)
    assert rows
    text = _call("list", what).output.split("\n\n")[0].splitlines()
    assert len(text) == len(rows) + 1
    first_column = next(iter(rows[0]))
    assert [line.split("  ")[0].strip() for line in text[1:]] == [row[first_column] for row in rows]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("siim-seg", "dice_positive"),
        ("mgca.r50", "img_encoder_q.model."),
        ("clean", "learning_rate"),
        ("siim", "licence"),
    ],
)
def test_show_prints_a_card(name: str, text: str) -> None:
    assert text in _call("show", name).output
    assert json.loads(_call("show", name, "--json").output)


def test_show_of_nothing() -> None:
    result = CliRunner().invoke(main, ["show", "sim-seg"])
    assert result.exit_code == 2
    assert "did you mean 'siim-seg'?" in result.stderr


def test_encoders_that_run_here_come_first_and_the_others_say_what_is_missing() -> None:
    rows = json.loads(_call("list", "encoders", "--json").output)
    assert [row["usable"] for row in rows] == sorted((row["usable"] for row in rows), reverse=True)
    missing = {row["encoder"]: row["what is missing, and where it is"] for row in rows}
    assert missing["random"] == missing["g2d"] == ""
    assert missing["mgca.r50"].startswith("resnet_50.ckpt of HKU-MedAI/MGCA; then --checkpoint mgca.r50=FILE")
    assert all(missing[row["encoder"]] for row in rows if row["usable"] == "no")
