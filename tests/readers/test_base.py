"""What every reader gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.base import PHANTOM_MARKER, Dataset, Sample


class Plain(Dataset):
    """A data set that says no more than it must."""

    name = "plain"
    labels = ("A",)
    side = 1024

    def samples(self) -> list[Sample]:
        """One image."""
        return [Sample("a", "p", self.root / "a.png")]


def test_a_marker_makes_data_generated(tmp_path: Path) -> None:
    dataset = Plain(tmp_path)
    assert (dataset.kind, dataset.drawn_on) == ("real", (1024, 1024))
    (tmp_path / PHANTOM_MARKER).write_text("{}")
    assert (dataset.kind, dataset.drawn_on) == ("phantom", None)


def test_remarks_are_counted_and_said_once(tmp_path: Path) -> None:
    dataset = Plain(tmp_path)
    for count in (0, 1200, 1200, 3):
        dataset.remark(count, "films have no row")
    assert dataset.remarks == ["1,200 films have no row", "3 films have no row"]
    assert Plain(tmp_path).remarks == []


def test_what_a_data_set_lacks_is_one_line(tmp_path: Path) -> None:
    dataset = Plain(tmp_path)
    (sample,) = dataset.samples()
    with pytest.raises(InputError, match=r"^data set plain has no masks$"):
        dataset.read_mask(sample, (4, 4), "A")
    with pytest.raises(InputError, match="the tables of plain alone make no samples"):
        dataset.table_samples()
    with pytest.raises(InputError, match=r"a\.png"):
        dataset.read_image(sample)
    Image.fromarray(np.full((3, 5), 7, np.uint8)).save(sample.path)
    assert dataset.read_image(sample).tolist() == [[7] * 5] * 3


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(InputError, match=f"^{tmp_path}: cannot be read: Permission denied$"):
        _ = Plain(tmp_path).kind
