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
