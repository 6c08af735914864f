"""The command that draws, as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Refused = Callable[..., None]


def test_figure(folder: Any, cli: Callable[..., Any], tmp_path: Path, refused: Refused) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1, 1.0), seeds=1)
    assert cli("figure", "curves").stdout == "wrote siim-seg-dice_positive.png\n"
    assert (tmp_path / "siim-seg-dice_positive.png").stat().st_size > 10_000
    refused(cli("figure", "curves", "--out", "x.gif"), ".gif; write one of")
    refused(cli("figure", "curves", "--out", "no/x.png"), "no such folder")
    refused(cli("figure", "curves", "--metric", "dice_positiv"), "did you mean 'dice_positive'?")
    folder.add("g2d", task="rsna-seg")
    assert cli("figure", "curves").stdout == "wrote rsna-seg-siim-seg-dice_positive.png\n"
    assert cli("figure", "curves", "--task", "siim-seg,rsna-seg", "--out", "x.svg").exit_code == 0
    folder.add("g2d", protocol="legacy")
    refused(cli("figure", "curves"), "one figure shows one protocol; choose of clean, legacy")
