"""Boxes and parts in rows of somebody's own table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.folder_rows import boxes_in_pixels, boxes_of, decode_runs, patient_parts
from g2d_bench.readers.folder_table import understand
from g2d_bench.readers.tables import read_table


def boxes(path: Path, text: str, region: str = "") -> list[list[Box]]:
    path = path / "films.csv"
    path.write_text(text)
    table = read_table(path, ())
    found = understand(table, region=region)
    return [boxes_of(row, found) for row in table]


def test_three_ways_to_write_a_box(tmp_path: Path) -> None:
    wanted = [[Box("Mass", 10, 20, 30, 40)], []]
    assert boxes(tmp_path, "image,x,y,w,h\na,10,20,30,40\nb,,,,\n", "Mass") == wanted
    assert boxes(tmp_path, "image,xmin,ymin,xmax,ymax\na,10,20,40,60\nb,,,,\n", "Mass") == wanted
    assert boxes(tmp_path, 'image,boxes\na,"[10, 20, 30, 40]"\nb,\n', "Mass") == wanted
    several = boxes(tmp_path, "image,boxes\na,Mass: 10 20 30 40; Node: 1 2 3 4\n")
    assert several == [[*wanted[0], Box("Node", 1, 2, 3, 4)]]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "image,boxes\na,Mass: 10 20 30\n",
            r"films\.csv:2: boxes: 'Mass: 10 20 30' is no box; want 'left top",
        ),
        ("image,boxes\na,Mass: 1 2 3 4; 5 6 7 8\n", "'5 6 7 8' has no label"),
        ("image,boxes\na,: 1 2 3 4\n", "': 1 2 3 4' has no label"),
        ("image,boxes\na,Mass: 1 2 0 4\n", "box of size 0"),
        ("image,x,y,w,h,class_name\na,1,2,x,4,Mass\n", r"films\.csv:2: w: 'x' is not a number"),
        ("image,x,y,w,h,class_name\na,1,2,3,4,\n", r"films\.csv:2: class_name: is empty"),
    ],
)
def test_what_is_no_box(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        boxes(tmp_path, text)


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        (-1, 10, Box("Mass", 0, 10, 39, 40)),
        (61, 10, Box("Mass", 61, 10, 39, 40)),
        (10, -2, Box("Mass", 10, 0, 40, 38)),
        (10, 12, Box("Mass", 10, 12, 40, 38)),
        (-3, 10, "x: box from -3 to 37 lies outside the image"),
        (63, 10, "x: box from 63 to 103 lies outside the image"),
        (10, -3, "y: box from -3 to 37 lies outside the image"),
        (10, 13, "y: box from 13 to 53 lies outside the image"),
    ],
)
def test_all_four_edges_have_one_slack(tmp_path: Path, x: int, y: int, wanted: Box | str) -> None:
    (tmp_path / "films.csv").write_text(f"image,x,y,w,h\na,{x},{y},40,40\n")
    table = read_table(tmp_path / "films.csv", ())
    found = understand(table, region="Mass")
    if isinstance(wanted, Box):
        assert boxes_of(table.rows[0], found, (100, 50)) == [wanted]
    else:
        with pytest.raises(InputError, match=rf"films\.csv:2: {wanted}"):
            boxes_of(table.rows[0], found, (100, 50))


def test_a_small_film_has_a_slack_of_one_pixel(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("image,boxes\na,Mass: -1 4 5 5\nb,Mass: 4 -1.5 5 5\n")
    table = read_table(tmp_path / "films.csv", ())
    found = understand(table)
    assert boxes_of(table.rows[0], found, (8, 8)) == [Box("Mass", 0, 4, 4, 4)]
    with pytest.raises(InputError, match=r"films\.csv:3: boxes: box from -1\.5 to 3\.5 lies outside"):
        boxes_of(table.rows[1], found, (8, 8))


def test_boxes_are_no_shares() -> None:
    def sample(row: int, *boxes: Box) -> Sample:
        return Sample(f"{row}", f"{row}", Path("a"), boxes=boxes, meta={"row": str(row)})

    shares = [sample(2), sample(3, Box("Mass", 0.5, 0.25, 0.25, 1)), sample(4, Box("Mass", 0.1, 0, 1, 1))]
    with pytest.raises(InputError, match=r"t\.csv:3: x: no number of any box is above 1, so they are shares"):
        boxes_in_pixels(shares, Path("t.csv"), "x")
    # One pixel in the corner, among others.
    boxes_in_pixels([*shares, sample(5, Box("Mass", 3, 4, 5, 6))], Path("t.csv"), "x")
    boxes_in_pixels(shares[:1], Path("t.csv"), "x")


def test_run_lengths_that_would_fit_counted_otherwise() -> None:
    # The same two columns of a film of 4 x 4: start and length, and gap and length.
    wanted = np.zeros((4, 4), np.bool_)
    wanted[1:3, 1:3] = True
    for how, text in (("absolute", "6 2 10 2"), ("relative", "5 2 2 2")):
        assert (decode_runs(text, (4, 4), how, "t.csv:2", "rle:Mass") == wanted).all()
    overlap = r"t\.csv:2: rle:Mass: the run from 2 overlaps the run before it; with --rle relative they fit"
    with pytest.raises(InputError, match=overlap):
        decode_runs("5 2 2 2", (4, 4), "absolute", "t.csv:2", "rle:Mass")
    beyond = r"t\.csv:2: rle:Mass: runs reach pixel 20 of 16; with --rle absolute they fit the film"
    with pytest.raises(InputError, match=beyond):
        decode_runs("6 2 10 2", (4, 4), "relative", "t.csv:2", "rle:Mass")
    for text, line in (("60 2", "runs reach pixel 61 of 16"), ("1 x", "'x'"), ("1 0", "a run of no pixels")):
        with pytest.raises(InputError, match=rf"t\.csv:2: rle:Mass: {line}") as caught:
            decode_runs(text, (4, 4), "absolute", "t.csv:2", "rle:Mass")
        assert "--rle" not in str(caught.value)


def test_a_split_divides_no_patient() -> None:
    def sample(name: str, patient: str, split: str, row: int) -> Sample:
        return Sample(name, patient, Path(name), split=split, meta={"row": str(row)})

    patient_parts([sample("a", "1", "train", 2), sample("b", "2", "test", 3)], Path("t.csv"))
    with pytest.raises(InputError, match=r"t\.csv:4: split: patient '1' is in test, and on row 2 in train"):
        patient_parts([sample("a", "1", "train", 2), sample("c", "1", "test", 4)], Path("t.csv"))
