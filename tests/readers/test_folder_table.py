"""What columns of somebody's own table mean."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.folder_table import ROLES, Meaning, flag, names_in, understand
from g2d_bench.readers.tables import read_table


def meaning(path: Path, text: str, **more: object) -> Meaning:
    path = path / "films.csv"
    path.write_text(text)
    return understand(read_table(path, ()), **more)  # type: ignore[arg-type]


def test_columns_are_known_by_many_names(tmp_path: Path) -> None:
    found = meaning(
        tmp_path,
        "File Name,Patient_ID,Set,Gender,Patient Age,ViewPosition,Report,Effusion,Mass,Operator\n"
        "a.dcm,1,train,F,50,PA,Clear lungs.,1,0,AB\n"
        "b.dcm,2,test,M,60,AP,Small effusion.,yes,,CD\n",
    )
    assert found.roles == {
        "image": "File Name",
        "patient": "Patient_ID",
        "split": "Set",
        "sex": "Gender",
        "age": "Patient Age",
        "view": "ViewPosition",
        "report": "Report",
    }
    assert found.flags == ("Effusion", "Mass")
    assert found.others == (("Operator", "neither a label nor a known word: AB, CD"),)


@pytest.mark.parametrize("name", ["fold", "Set", "part", "subset", "split"])
@pytest.mark.parametrize("last", [1, 4])
def test_what_holds_no_parts_is_no_split(tmp_path: Path, name: str, last: int) -> None:
    rows = [f"{n},1,{n % 2},{n % (last + 1)}\n" for n in range(10)]
    text = f"image,patient,Mass,{name}\n" + "".join(rows)
    found = meaning(tmp_path, text)
    assert "split" not in found.roles
    assert found.flags == ("Mass",)
    some = "0, 1" if last == 1 else "0, 1, 2, …"
    assert found.others == ((name, f"no parts such as train, val and test: {some}"),)
    # What the user says holds: then it is an error of the rows, or a label.
    assert meaning(tmp_path, text, given={"split": name}).roles["split"] == name
    if last == 1:
        assert meaning(tmp_path, text, labels=(name,)).flags == (name,)


def test_the_column_that_holds_parts_is_the_split(tmp_path: Path) -> None:
    found = meaning(tmp_path, "image,Mass,split,fold,set\na,1,0,0,train\nb,0,1,1,test\n")
    assert found.roles["split"] == "set"
    assert (found.flags, [column for column, _ in found.others]) == (("Mass",), ["split", "fold"])


def test_labels_by_name(tmp_path: Path) -> None:
    found = meaning(tmp_path, "image,patient,diagnosis\na,1,Mass|Nodule\nb,2,normal\nc,3,Nodule\n")
    assert found.listed == ("Mass", "Nodule")
    assert names_in("Mass; Nodule") == ["Mass", "Nodule"]
    assert names_in("No Finding") == []
    assert names_in("") is None
    # A column of that name that holds 1 and 0 is a label itself.
    assert meaning(tmp_path, "image,patient,label\na,1,1\nb,2,0\n").flags == ("label",)


def test_findings_are_a_section_or_a_list(tmp_path: Path) -> None:
    prose = "The heart is normal in size and the lungs are clear."
    assert "findings" in meaning(tmp_path, f"image,patient,findings\na,1,{prose}\n").roles
    assert meaning(tmp_path, "image,patient,findings\na,1,Mass\n").listed == ("Mass",)


def test_width_and_height_alone_are_no_box(tmp_path: Path) -> None:
    found = meaning(tmp_path, "image,patient,width,height,Mass\na,1,2000,2400,1\n")
    assert not found.has_boxes
    assert [column for column, _ in found.others] == ["width", "height"]


def test_boxes_in_rows(tmp_path: Path) -> None:
    rows = "image,patient,xmin,ymin,xmax,ymax,class_name\na,1,1,2,3,4,Mass\na,1,5,5,9,9,Nodule\n"
    found = meaning(tmp_path, rows)
    assert {found.roles[role] for role in ("x", "y", "x2", "y2")} == {"xmin", "ymin", "xmax", "ymax"}
    assert found.roles["region"] == "class_name"
    # A word beside each box is its label, by whatever name.
    assert meaning(tmp_path, rows.replace("class_name", "label")).roles["region"] == "label"
    with pytest.raises(InputError, match=r"films\.csv:1: x: which label does it show\? Give --region"):
        meaning(tmp_path, "image,patient,x,y,w,h\na,1,1,2,3,4\n")
    assert meaning(tmp_path, "image,patient,x,y,w,h\na,1,1,2,3,4\n", region="Mass").region == "Mass"


def test_masks(tmp_path: Path) -> None:
    found = meaning(tmp_path, "image,patient,Mass,mask\na,1,1,m.png\n")
    assert found.masks == {"Mass": "mask"}
    assert found.drawn == ("Mass",)
    both = meaning(tmp_path, "image,patient,mask:Mass,rle:Node\na,1,m.png,1 3\n", rle="relative")
    assert (both.masks, both.rles, both.rle) == ({"Mass": "mask:Mass"}, {"Node": "rle:Node"}, "relative")
    with pytest.raises(InputError, match="'Mass' has masks as files and as run lengths"):
        meaning(tmp_path, "image,patient,mask:Mass,rle:Mass\na,1,m.png,1 3\n")
    with pytest.raises(InputError, match="which label does it show"):
        meaning(tmp_path, "image,patient,Mass,Nodule,mask\na,1,1,0,m.png\n")


def test_what_the_user_says_goes_first(tmp_path: Path) -> None:
    text = "image,original,patient,Mass,portable\na,b,1,1,0\n"
    found = meaning(tmp_path, text, given={"image": "original"}, labels=("Mass",))
    assert found.roles["image"] == "original"
    assert found.flags == ("Mass",)
    assert [column for column, _ in found.others] == ["image", "portable"]


@pytest.mark.parametrize(
    ("text", "more", "line"),
    [
        ("who,what\na,b\n", {}, r"films\.csv:1: no column names the films; say which: --column image=NAME"),
        (
            "image,Mass\na,1\n",
            {"given": {"images": "image"}},
            "--column: unknown role 'images'; did you mean",
        ),
        ("image,Mass\na,1\n", {"given": {"patient": "pat"}}, "no column 'pat'"),
        ("image,Mass\na,1\n", {"labels": ("Mas",)}, "--label: no column 'Mas'; did you mean 'Mass'"),
        ("image,Mass\na,1\n", {"labels": ("image",)}, "'image' is read as something else already"),
        ("image,Mass\n" + "a,1\n" * 19 + "b,7\n", {}, r"films\.csv:21: Mass: '7' is none of 1, 0, -1"),
    ],
)
def test_what_cannot_be_understood(tmp_path: Path, text: str, more: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        meaning(tmp_path, text, **more)


def test_values_of_a_label(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nYes,x\n-1.0,x\n0,x\n,x\n")
    found = [flag(row, "a") for row in read_table(tmp_path / "t.csv", ("a",))]
    assert found[:3] == [1, -1, 0]
    assert math.isnan(found[3])


def test_no_name_belongs_to_two_roles() -> None:
    names = [name for words in ROLES.values() for name in words]
    assert len(set(names)) == len(names)
