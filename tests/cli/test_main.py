"""Commands that look and do not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from g2d_bench.cli.main import main
from g2d_bench.readers.base import PHANTOM_MARKER


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))


def _call(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


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


@pytest.mark.parametrize("form", ["text", "commands", "json"])
def test_a_plan_shows_what_can_be_run_beside_data_that_cannot_be_read(tiny_root: Path, form: str) -> None:
    root = Path("data")
    (root / "covidx").mkdir(parents=True)
    (root / "covid-cxr").symlink_to(tiny_root / "covid-cxr")
    for part in ("train", "test"):
        (root / "covidx" / f"{part}_COVIDx9A.txt").write_text("p a.png normal\n")
    grid = ["--task", "covidx-cls,covid-cxr-seg", "--encoder", "random", "--fraction", "1"]
    result = CliRunner().invoke(main, ["plan", *grid, "--data-root", str(root), "--format", form])
    assert result.exit_code == 2
    why = "train_COVIDx9A.txt:1: has 3 cells, 4 are needed"
    assert "covid-cxr-seg" in result.stdout
    (said,) = result.stderr.splitlines()
    assert said.startswith("g2d-bench: 1 of 2 cells cannot be run: ")
    assert why in said
    if form == "text":
        lines = result.stdout.splitlines()
        assert lines[0].startswith("covidx-cls · random · 100 % · seed 0 · clean: cannot be run: ")
        assert lines[1] == "covid-cxr-seg · random · 100 % · seed 0 · clean: to run"
        assert lines[2] == "2 cells, 0 finished, 1 cannot be run, 1 to run: time unknown"
    elif form == "json":
        cells = [cell for unit in json.loads(result.stdout)["units"] for cell in unit["cells"]]
        assert [why in cell["wrong"] for cell in cells] == [cell["task"] == "covidx-cls" for cell in cells]


def test_table_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    result = CliRunner().invoke(main, ["table"])
    assert result.exit_code == 2
    assert "no record" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_version_and_module_entry() -> None:
    assert "0.1.0" in _call("--version").output


def test_a_folder_that_cannot_be_read_does_not_hide_the_others(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs this may be allowed to read everything, so that the refusal is made."""
    refused = tiny_root / "covid-cxr" / PHANTOM_MARKER
    is_file = Path.is_file

    def guarded(path: Path) -> bool:
        if path == refused:
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", guarded)
    output = _call("data", "status", "--data-root", str(tiny_root)).output
    assert f"  covid-cxr: {refused.parent}: cannot be read: Permission denied\n" in output
    assert "  siim: Get the DICOM files" in output
