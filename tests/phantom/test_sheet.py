"""The sheet of examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.phantom.sheet import EXAMPLES, caption, examples, write_sheet


def test_sheet(tmp_path: Path) -> None:
    from PIL import Image

    path = write_sheet(tmp_path / "new" / "sheet.png", size=64)
    with Image.open(path) as image:
        assert image.width == 4 * 68 + 4
        assert image.height > image.width
    first = path.read_bytes()
    assert write_sheet(path, size=64).read_bytes() == first
    assert not list(path.parent.glob(".*"))


def test_examples_show_what_they_say() -> None:
    pictures = examples(64)
    assert len(pictures) == len(EXAMPLES) == 16
    assert caption(pictures[0].scene) == "no finding"
    assert caption(pictures[1].scene) == "left pneumothorax"
    for picture in pictures[1:]:
        assert picture.masks


def test_sheet_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_sheet(tmp_path / "file" / "sheet.png", size=64)
