"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# No test may reach a model hub; this must stand before transformers is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def real_pack() -> Path:
    """The folder with real radiographs and annotation tables, outside of the project."""
    default = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("G2D_BENCH_REAL", default))
    if not (folder / "covid-cxr").is_dir():
        pytest.skip(f"real sample pack not found at {folder} (set G2D_BENCH_REAL)")
    return folder
