"""The command that says in words what a signature or a record means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.records.record import Record
from g2d_bench.records.selection import select

ROOT = Path(__file__).parents[2]


def test_a_signature_is_taken_apart(cli: Callable[..., Any]) -> None:
    found = select(ROOT / "results" / "phantom" / "g2d" / "rsna-seg@1.0" / "clean-linear")[0]
    result = cli("explain", found.record.signature)
    assert result.exit_code == 0, result.output
    for part in found.record.signature.split("|"):
        assert f"  {part} " in result.stdout
    assert result.stdout.count("the card here is the same") == 2
    assert "as here" in result.stdout
    assert "g2d-bench run --task rsna-seg --protocol clean-linear --phantom --encoder NAME" in result.stdout
    with_metric = cli("explain", f"{found.record.signature}|dice_positive").stdout
    assert "mean Dice over the images that show the finding" in with_metric


def test_other_cards_and_other_numbers_are_named(cli: Callable[..., Any]) -> None:
    text = cli(
        "explain",
        "siim-seg@1.0#0000|real:siim#0d483e60|split:clean#1bfcebd0|mine@2.0#708c|n999",
    ).stdout
    assert "no such card here, or another one" in text
    assert "cannot be told without the card of the task" in text
    assert "the code gives other numbers" in text
    assert "--data-root FOLDER" in text


def test_what_is_neither_is_one_line(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for what in ("siim-seg", "a|b|c", "x.json", "no.json", ""):
        result = cli("explain", what)
        assert (result.exit_code, result.stdout) == (2, ""), what
        assert len(result.stderr.splitlines()) == 1


def test_a_record_says_how_to_repeat_it(folder: Any, cli: Callable[..., Any]) -> None:
    found = folder.add("g2d", 0.6)
    text = cli("explain", found.path).stdout
    assert f"dice_positive = {found.record.metrics['dice_positive']:.4f}" in text
    assert found.record.command in text
    assert "torch 2.15.0" in text
    assert "commit 0123456789ab" in text
    compare = "g2d-bench compare --to runs/phantom --task siim-seg --encoder g2d --fraction 0.01 --seed 0"
    assert compare in text
    for name in Record.model_fields:
        assert f"\n  {name} " in text
