"""Raw films: the greater byte first, dense parts dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.images import image_size, read_image
from g2d_bench.readers.raw import raw_size


def test_values_are_turned_and_become_eight_bits(tmp_path: Path) -> None:
    values = np.zeros((64, 64), np.uint16)
    values[0, :3] = 4095, 2048, 256
    path = tmp_path / "JPCLN001.IMG"
    path.write_bytes(values.astype(">u2").tobytes())
    image = read_image(path)
    assert image.shape == image_size(path.read_bytes(), path) == (64, 64)
    assert image[0, :4].tolist() == [0, 127, 239, 255]


def test_what_is_no_raw_film(tmp_path: Path) -> None:
    path = tmp_path / "JPCLN001.IMG"
    for data, message in (
        (b"", "not a raw film"),
        (bytes(2 * 64 * 63), "8,064 bytes are no square of 16-bit pixels"),
        (np.full((64, 64), 4095, "<u2").tobytes(), "a value of 65295, more than 12 bits"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_image(path)
    with pytest.raises(InputError, match="no square"):
        raw_size(bytes(100), path)
