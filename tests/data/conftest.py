"""Tiny raw files for the readers' tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that no other test and no user has."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
