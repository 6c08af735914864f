"""Every test here has a cache folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def refused() -> Callable[..., None]:
    """Bad input is one line on stderr, with these texts in it, and exit code 2."""

    def check(result: Any, *texts: str) -> None:
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("g2d-bench: ")
        for text in texts:
            assert text in result.stderr

    return check
