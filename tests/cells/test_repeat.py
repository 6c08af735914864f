"""The command in a record is that of the very cell."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.repeat import command_of
from g2d_bench.cells.settings import Settings
from g2d_bench.cli import main as cli
from g2d_bench.records.cell import Cell


@pytest.mark.parametrize(
    ("cell", "settings", "leaks"),
    [
        (Cell("siim-seg", 0.01, "clean", 2, "g2d+decoder"), Settings(), ""),
        (Cell("cxr14-cls", 0.123456789, "clean-finetune", 11, "random"), Settings(), ""),
        (Cell("rsna-zeroshot", 1.0, "clean", 0, "g2d"), Settings(), "twins, known: 'a' \"b\" $c"),
        (Cell("rsna-cls", 1e-05, "clean", 0, "random"), Settings(data_root=Path("my data")), ""),
    ],
)
def test_it_asks_for_this_cell_and_no_other(
    cell: Cell, settings: Settings, leaks: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my data").mkdir()
    asked: dict[str, Any] = {}

    def seen(given: dict[str, Any], **allowed: Any) -> Any:
        opened, cells, _ = real(given, **allowed)
        asked.update(cells=cells, settings=opened.settings, leaks=opened.options.allow_leaks)
        return opened, cells, []

    real = cli._planned
    monkeypatch.setattr(cli, "_planned", seen)
    monkeypatch.setattr(cli, "_print_plan", lambda *_: None)
    program, *words = shlex.split(command_of(cell, settings, leaks))
    assert program == "g2d-bench"
    cli.main([*words, "--dry-run"], standalone_mode=False)
    assert asked["cells"] == [cell]
    assert asked["settings"].data_root == settings.data_root
    assert asked["leaks"] == leaks


def test_own_cards_and_weights_are_named(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "mine.pt").touch()
    settings = Settings(
        task_dirs=(Path("t"),),
        encoder_dirs=(Path("e 1"), Path("e2")),
        protocol_dirs=(Path("p"),),
        weights_dir=weights,
        checkpoints={"other": Path("other.pt")},
    )
    words = shlex.split(command_of(Cell("siim-seg", 0.1, "clean", 0, "mine+decoder"), settings))
    pairs = list(pairwise(words))
    for pair in (
        ("--tasks-dir", "t"),
        ("--encoders-dir", "e 1"),
        ("--encoders-dir", "e2"),
        ("--protocols-dir", "p"),
        ("--checkpoint", f"mine={weights / 'mine.pt'}"),
    ):
        assert pair in pairs
    assert "other" not in " ".join(words)
