"""Labels and their tasks."""

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
