"""Images of pairs, decoded once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.pretrain import decode as module
from g2d_bench.pretrain.decode import decode
from g2d_bench.readers.images import letterbox, read_image


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """Three films of different shapes, and a file that is none between them."""
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for n, path in enumerate(paths):
        Image.fromarray(generator.integers(0, 256, (20 + n, 30), dtype=np.uint8)).save(path)
    paths[1].write_bytes(b"no film")
    return paths


def test_readable_images_keep_their_order(films: list[Path], tmp_path: Path) -> None:
    images, bad = decode(films, 16, tmp_path / "cache", strict=False)
    assert bad == {1}
    expected = [letterbox(read_image(path), 16) for n, path in enumerate(films) if n != 1]
    np.testing.assert_array_equal(images, np.stack(expected))


def test_it_is_done_once_and_again_for_a_changed_film(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = decode(films, 16, tmp_path / "cache", strict=False)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_squares", None)
        again, bad = decode(films, 16, tmp_path / "cache", strict=False)
    assert bad == {1}
    np.testing.assert_array_equal(first, again)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(films[0])
    os.utime(films[0], (1, 1))
    other, _ = decode(films, 16, tmp_path / "cache", strict=False)
    assert not other[0].any()


def test_a_film_that_cannot_be_read_is_named(films: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1\.png: "):
        decode(films, 16, tmp_path / "cache", strict=True)
    with pytest.raises(InputError, match="no image could be read"):
        decode(films[1:2], 16, tmp_path / "cache", strict=False)
