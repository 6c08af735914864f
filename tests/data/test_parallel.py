"""One function over many files: threads and processes give the same."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.data import parallel
from g2d_bench.data.cache import PixelCache
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.parallel import CHUNK, over_files
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file
from g2d_bench.readers.registry import READERS


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few files on few cores are enough for processes."""
    monkeypatch.setattr(parallel, "MANY", 1)
    monkeypatch.setattr(parallel, "SEVERAL", 1)
    monkeypatch.setattr(parallel, "cores", lambda: 2)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{n}" for n in range(2 * CHUNK + 3)]
    for n, path in enumerate(found):
        path.write_bytes(bytes([n]))
    return found


def test_processes_give_what_threads_give(files: list[Path], request: pytest.FixtureRequest) -> None:
    by_threads = list(over_files(digest_file, files, "x"))
    assert by_threads == [digest_file(path) for path in files]
    request.getfixturevalue("processes")
    assert list(over_files(digest_file, files, "x")) == by_threads


@pytest.mark.usefixtures("processes")
def test_what_cannot_travel_stays_in_threads(files: list[Path]) -> None:
    seen = set()

    def note(path: Path) -> int:
        seen.add(threading.get_ident())
        return os.getpid()

    assert set(over_files(note, files, "x")) == {os.getpid()}
    assert seen


@pytest.mark.usefixtures("processes")
def test_the_first_error_comes_out_and_nothing_is_left_behind(files: list[Path]) -> None:
    files[5].unlink()
    with pytest.raises(FileNotFoundError):
        list(over_files(digest_file, files, "x"))


def test_decoding_and_hashing_by_processes(
    tiny_root: Path, own_cache: Path, request: pytest.FixtureRequest
) -> None:
    dataset = READERS["covid-cxr"](tiny_root / "covid-cxr")
    manifest = Manifest.open(dataset)
    pixels = PixelCache.open(dataset, manifest, 32).pixels.copy()
    request.getfixturevalue("processes")
    for path in own_cache.rglob("*"):
        if path.is_file():
            path.unlink()
    again = Manifest.open(dataset)
    assert again.sha256 == manifest.sha256
    assert again.content_hash == manifest.content_hash
    np.testing.assert_array_equal(PixelCache.open(dataset, again, 32).pixels, pixels)
    other = next(iter((tiny_root / "covid-cxr" / "images").iterdir()))
    kept = other.read_bytes()
    try:
        other.write_bytes(kept[:200])
        with pytest.raises(InputError, match=other.name):
            PixelCache.open(dataset, again, 48)
    finally:
        other.write_bytes(kept)
