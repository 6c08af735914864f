"""Object-CXR reader: rectangles, ellipses, polygons, reversed corners, and every field that can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.object_cxr import LABEL, ObjectCxr

FILES = {
    "train.csv": (
        "image_name,annotation\n"
        "00001.jpg,0 10 20 40 60;1 90 80 50 30\n"
        "00002.jpg,\n"
        "00003.jpg,2 10 10 30 5 40 50 20 60\n"
    ),
    "dev.csv": "image_name,annotation\n08001.jpg,0 1 2 3 4\n08002.jpg,nan\n",
}
SIZE = (100, 90)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name[:-4]).mkdir()
        for line in text.splitlines()[1:]:
            Image.new("L", SIZE).save(tmp_path / name[:-4] / line.split(",")[0])
    return tmp_path


def test_small_release(release: Path) -> None:
    samples = {sample.id: sample for sample in ObjectCxr(release).samples()}
    assert list(samples) == ["00001.jpg", "00002.jpg", "00003.jpg", "08001.jpg", "08002.jpg"]
    # The ellipse has its corners reversed.
    assert samples["00001.jpg"].boxes == (Box(LABEL, 10, 20, 30, 40), Box(LABEL, 50, 30, 40, 50))
    assert samples["00001.jpg"].annotation == ("0 10 20 40 60", "1 90 80 50 30")
    assert samples["00003.jpg"].boxes == (Box(LABEL, 10, 5, 30, 55),)
    assert samples["00002.jpg"].boxes == samples["08002.jpg"].boxes == ()
    assert [samples[i].labels[LABEL] for i in samples] == [1, 0, 1, 1, 0]
    assert [samples[i].split for i in samples] == ["train"] * 3 + ["test"] * 2
    assert samples["08001.jpg"].path == release / "dev/08001.jpg"


def test_shapes_past_the_edge_by_little_are_clipped(release: Path) -> None:
    (release / "dev.csv").write_text("image_name,annotation\n08001.jpg,0 -2 50 20 91;\n08002.jpg,\n")
    box = ObjectCxr(release).samples()[3].boxes[0]
    assert box == Box(LABEL, 0, 50, 20, 40)
    # Without the image the right and lower edges are unknown.
    assert ObjectCxr(release).table_samples()[3].boxes[0] == Box(LABEL, 0, 50, 20, 41)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train.csv", "annotation", "annot", r"train\.csv:1: annotation: column is missing"),
        ("dev.csv", "image_name", "image", r"dev\.csv:1: image_name: column is missing"),
        (
            "train.csv",
            "00003",
            "00001",
            r"train\.csv:4: image_name: duplicate id '00001\.jpg', first on row 2",
        ),
        (
            "dev.csv",
            "08001",
            "00001",
            r"dev\.csv:2: image_name: duplicate id '00001\.jpg', also in train\.csv",
        ),
        ("dev.csv", "08001.jpg", "", r"dev\.csv:2: image_name: is empty"),
        ("dev.csv", "08001.jpg", "08001", r"dev\.csv:2: image_name: '08001' is not an image name"),
        ("dev.csv", "0 1 2 3 4", "3 1 2 3 4", r"dev\.csv:2: annotation: unknown value '3'"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 3", r"dev\.csv:2: annotation: rectangle with 3 coordinates"),
        ("dev.csv", "0 1 2 3 4", "1 1 2 3 4 5 6", r"dev\.csv:2: annotation: ellipse with 6 coordinates"),
        ("dev.csv", "0 1 2 3 4", "2 1 2 3 4", r"dev\.csv:2: annotation: polygon with 4 coordinates"),
        ("dev.csv", "0 1 2 3 4", "2 1 2 3 4 5 6 7", r"dev\.csv:2: annotation: polygon with 7 coordinates"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 x 4", r"dev\.csv:2: annotation: not a number in '0 1 2 x 4'"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 inf 4", r"dev\.csv:2: annotation: coordinate out of range"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 nan 4", r"dev\.csv:2: annotation: coordinate out of range"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 1 4", r"dev\.csv:2: annotation: box of size 0"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 3 4;;0 1 2 3 4", r"dev\.csv:2: annotation: an empty object"),
        ("dev.csv", "0 1 2 3 4", "0 1 2 140 4", r"dev\.csv:2: annotation: box from 1 to 140 lies outside"),
        ("dev.csv", "0 1 2 3 4", "0 1 -9 3 4", r"dev\.csv:2: annotation: box from -9"),
        ("dev.csv", "08001", "\udce908001", r"dev\.csv:2: image_name: byte 0xe9"),
        ("dev.csv", None, None, r"dev\.csv: table not found"),
        ("dev/08002.jpg", None, None, r"dev\.csv:3: image_name: no image dev/08002\.jpg"),
        ("train/9.jpg", "", "x", r"train/9\.jpg: image without a row in train\.csv"),
        ("dev/08001.jpg", "", "x", r"dev/08001\.jpg: not a readable image"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        ObjectCxr(release).samples()
    assert "\n" not in str(caught.value)
