"""The command that writes a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--results", "nowhere"), "nowhere"),
        (("--task", "siim-sge"), "no record of task siim-sge"),
        (("--out", "file/site"), "file/site: --out: cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    folder: Any, cli: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    folder.add("g2d")
    (tmp_path / "file").write_text("")
    result = cli("leaderboard", "--results", folder.root, *options)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "leaderboard").exists()


def test_mixed_signatures_are_refused_or_marked(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    folder.add("g2d")
    folder.add("mgca", version="2.0")
    result = cli("leaderboard", "--results", folder.root)
    assert result.exit_code == 2
    assert "signature" in result.stderr
    table = made("--allow-mixed").rows("siim-seg-0.01-clean-generated")
    assert table["g2d"][0].endswith(")")
