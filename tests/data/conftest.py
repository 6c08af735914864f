"""Tiny raw files for the readers' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that no other test and no user has."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def spoil() -> Callable[..., None]:
    """Change one thing of a release: ``spoil(path, text, old, new)``; without ``old`` or ``new``, it goes.

    ``text`` is what the file holds ("" for one that is to be added or overwritten whole).
    """

    def change(path: Path, text: str, old: str | None, new: str | None) -> None:
        if old is None or new is None:
            path.unlink()
            return
        assert old in text
        path.write_bytes(text.replace(old, new, 1).encode(errors="surrogateescape"))

    return change
