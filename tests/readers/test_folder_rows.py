"""Boxes and parts in rows of somebody's own table."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.folder_rows import boxes_of, patient_parts
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


def test_a_split_divides_no_patient() -> None:
    def sample(name: str, patient: str, split: str, row: int) -> Sample:
        return Sample(name, patient, Path(name), split=split, meta={"row": str(row)})

    patient_parts([sample("a", "1", "train", 2), sample("b", "2", "test", 3)], Path("t.csv"))
    with pytest.raises(InputError, match=r"t\.csv:4: split: patient '1' is in test, and on row 2 in train"):
        patient_parts([sample("a", "1", "train", 2), sample("c", "1", "test", 4)], Path("t.csv"))
