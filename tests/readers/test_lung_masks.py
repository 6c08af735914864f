"""Films known by their names, and unions of masks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Sample
from g2d_bench.readers.lung_masks import films, read_masks

NAME = re.compile(r"F_\d{2}_([01])")


def test_films_tell_by_their_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"CXR_png: no film below\. Ask somebody"):
        films(tmp_path, NAME, "F_01_0.png", "Ask somebody")
    (tmp_path / "CXR_png").mkdir()
    for name in ("F_01_0.png", "F_02_1.jpg"):
        (tmp_path / "CXR_png" / name).touch()
    found = films(tmp_path, NAME, "F_01_0.png", "")
    assert found == {"F_01_0": ("CXR_png/F_01_0.png", 0), "F_02_1": ("CXR_png/F_02_1.jpg", 1)}
    (tmp_path / "CXR_png" / "F_03_2.png").touch()
    with pytest.raises(InputError, match=r"F_03_2\.png: file name: no name such as F_01_0\.png"):
        films(tmp_path, NAME, "F_01_0.png", "")


def test_masks_are_joined_and_fitted(tmp_path: Path) -> None:
    for name, columns in (("a", slice(0, 4)), ("b", slice(2, 8))):
        mask = np.zeros((16, 16), np.uint8)
        mask[:, columns] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    sample = Sample("x", "x", tmp_path / "x.png")
    whole = read_masks(tmp_path, sample, ["file:a.png", "file:b.png"], (16, 16))
    assert whole.any(axis=0).tolist() == [True] * 8 + [False] * 8
    assert read_masks(tmp_path, sample, ["file:a.png"], (8, 8)).any(axis=0).sum() == 2
    with pytest.raises(InputError, match="mask has 16x16 pixels"):
        read_masks(tmp_path, sample, ["file:a.png"], (16, 20))
