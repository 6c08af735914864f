"""The command that reads somebody's own films, and the page about it, followed word by word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from g2d_bench.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-films.md"


def call(line: str) -> str:
    done = CliRunner().invoke(main, shlex.split(line)[1:])
    assert done.exit_code == 0, f"{line}: {done.output}"
    return done.output


def blocks() -> list[tuple[str, str]]:
    """Commands of the page with what it says that they print."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append((line, output))
    return found


def test_the_page_on_sixty_dicom_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = blocks()
    assert [line.split()[1] for line, _ in commands] == ["data", "data", "run", "verify"]
    for line, output in commands:
        assert line.startswith("g2d-bench ")
        said = call(line)
        for wanted in filter(None, output.split("\n")):
            if wanted != "…":
                assert wanted in said, f"{line}: {wanted}"
    assert "not checked" not in said, "films, split and truth are here, and are held against the records"
    assert len(list((tmp_path / "trial" / "folder" / "films").glob("*.dcm"))) == 60


def test_bad_words_cost_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    (tmp_path / "films.csv").write_text("image,patient\na,1\n")
    for words, line in (
        ("films --csv none.csv", "none.csv"),
        ("films --csv films.csv --column patient", "--column: 'patient' is not ROLE=COLUMN"),
        ("films --csv films.csv", "films.csv:2: image: no file 'a' below"),
        ("nowhere --csv films.csv", "nowhere: no such folder"),
    ):
        done = CliRunner().invoke(main, shlex.split(f"data import {words}"))
        assert done.exit_code == 2
        [said] = done.stderr.splitlines()
        assert line in said
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"films", "films.csv"}
