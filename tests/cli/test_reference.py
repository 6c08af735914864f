"""The committed records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def refused(result: Any, *texts: str) -> None:
    """Bad input is one line on stderr and exit code 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("g2d-bench: ")
    for text in texts:
        assert text in result.stderr


def test_reference_names_what_is_not_there(cli: Callable[..., Any]) -> None:
    refused(cli("reference", "--task", "siim-seg,siim-sge", "--dry-run"), "no task siim-sge", "did you mean")
    refused(
        cli("reference", "--fraction", "0.5", "--dry-run"), "--fraction: the reference has no fraction 50 %"
    )
    assert not Path("runs").exists()
