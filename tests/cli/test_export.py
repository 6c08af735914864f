"""Formats of others, as a user asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_files_and_folders(folder: Any, cli: Callable[..., Any], refused: Callable[..., None]) -> None:
    folder.grid({"g2d": 0.6}, seeds=1)
    assert cli("export", "csv", "--no-intervals").stdout == "wrote records.csv\n"
    assert len(Path("records.csv").read_text().splitlines()) == 5
    assert cli("export", "schema", "--out", "x.json").exit_code == 0
    assert json.loads(Path("x.json").read_text())["title"] == "Record"
    assert cli("export", "croissant").stdout.startswith("wrote croissant: ")
    assert Path("croissant/croissant.json").is_file()
    assert cli("export", "model-index", "--no-intervals", "--out", "card").exit_code == 0
    assert "name: G2D" in Path("card/g2d/README.md").read_text()
    refused(cli("export", "croissant"), "--out: is there already")
    refused(cli("export", "hf-eval-results"), "--dataset: hf-eval-results needs it")
    refused(cli("export", "csv", "--out", "card"), "is a folder; name a file")
    refused(cli("export", "csv", "--out", "no/x.csv"), "no such folder")
    refused(cli("export", "csv", "--encoder", "g2"), "did you mean 'g2d'?")
    refused(cli("export", "xls"), "xls")


def test_what_was_edited_is_not_exported(
    folder: Any, cli: Callable[..., Any], edit: Callable[..., None], refused: Callable[..., None]
) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    refused(cli("export", "csv"), "metrics.dice_positive")
    assert not Path("records.csv").exists()
