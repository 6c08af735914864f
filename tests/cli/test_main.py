"""Commands that look and do not run."""

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


def test_labels_name_their_tasks() -> None:
    rows = {row["label"]: row for row in json.loads(_call("list", "labels", "--json").output)}
    assert "siim-seg" in rows["Pneumothorax"]["tasks"]
    assert rows["Pneumothorax"]["in the G2D paper"] == "cxr14, siim"
    assert rows["Effusion"]["finding"] == rows["Pleural Effusion"]["finding"] == "Pleural Effusion"
    assert rows["Normal"]["finding"] == rows["Lung"]["finding"] == "(no disease)"
    assert rows["Lung"]["in the G2D paper"] == ""


def test_the_25_diseases_of_the_paper_are_resolved() -> None:
    text = _call("list", "labels").output
    assert "cxr14 14 + chexpert 5 + covidx 3 + object-cxr 1 + rsna 1 + siim 1 = 25 labels" in text
    assert "Distinct diseases among them: 15 (" in text
    assert "No diseases: Foreign object, Normal." in text


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


def test_data_status_makes_nothing(tmp_path: Path) -> None:
    rows = json.loads(_call("data", "status", "--json").output)
    assert {row["there"] for row in rows} == {"no"}
    assert not (tmp_path / "cache" / "phantom").exists()


def test_data_status_sees_real_data(tiny_root: Path) -> None:
    rows = json.loads(_call("data", "status", "--json", "--data-root", str(tiny_root)).output)
    assert {row["data set"]: row["there"] for row in rows}["covid-cxr"] == "real"


def test_plan_does_not_generate_data(tmp_path: Path) -> None:
    output = _call("plan", "--task", "siim-seg", "--encoder", "random", "--seed", "0-2").output
    assert "9 cells, 0 finished, 9 to run: time unknown" in output
    assert "(after siim is generated)" in output
    assert not (tmp_path / "cache" / "phantom").exists()


def test_table_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    result = CliRunner().invoke(main, ["table"])
    assert result.exit_code == 2
    assert "no record" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_version_and_module_entry() -> None:
    assert "0.1.0" in _call("--version").output
