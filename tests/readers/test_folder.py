"""Somebody's own films."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.base import PHANTOM_MARKER, Box
from g2d_bench.readers.folder import DESCRIPTION, Folder, read_description
from g2d_bench.readers.rle import decode_absolute, encode_relative

SIDE = 16
TABLE = """image,patient,split,age,Mass,Nodule,mask:Mass,rle:Nodule,boxes,report
a.png,P1,train,50,1,0,a.png,,Mass: 2 3 4 5,Clear.
sub/b,P2,val,,0,1,,19 3 35 3,,
c.dcm,P3,test,70,,-1,,,,There is a nodule.
"""
COLUMNS = {name: name for name in ("image", "patient", "split", "age", "boxes", "report")}


def write(root: Path, write_dicom: Callable[..., Path], table: str = TABLE) -> Path:
    """Three films, one of each sort, and what describes them."""
    films = root / "films"
    (films / "sub").mkdir(parents=True)
    (root / "masks").mkdir()
    film = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    Image.fromarray(film).save(films / "a.png")
    Image.fromarray(film).save(films / "sub" / "b.jpg")
    write_dicom(
        films / "c.dcm", film, PatientID="header", PatientSex="F", PatientAge="044Y", ViewPosition="AP"
    )
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[3:8, 2:6] = 255
    Image.fromarray(mask).save(root / "masks" / "a.png")
    (root / "films.csv").write_text(table)
    folder = root / "bench" / "folder"
    folder.mkdir(parents=True)
    columns = "\n".join(f'{role} = "{column}"' for role, column in COLUMNS.items())
    (folder / DESCRIPTION).write_text(
        'films = "../../films"\ntable = "../../films.csv"\nflags = ["Mass", "Nodule"]\n'
        f'[columns]\n{columns}\n[masks]\nMass = "mask:Mass"\n[rles]\nNodule = "rle:Nodule"\n'
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    text = TABLE.replace(",a.png,,Mass", ",../masks/a.png,,Mass")
    return write(tmp_path, write_dicom, text)


def test_how_run_lengths_count_is_part_of_what_is_hashed(folder: Path) -> None:
    """The same numbers draw another mask, and so are other data."""
    said = (folder / DESCRIPTION).read_text()
    absolute = Folder(folder).samples()
    (folder / DESCRIPTION).write_text('rle = "relative"\n' + said)
    relative = Folder(folder).samples()
    assert [sample.annotation for sample in absolute][2] == ("", "runs:19 3 35 3")
    assert [sample.annotation for sample in relative][2] == ("", "relative runs:19 3 35 3")
    other = Folder(folder).read_mask(relative[2], (SIDE, SIDE), "Nodule")
    (folder / DESCRIPTION).write_text(said)
    one = Folder(folder).read_mask(absolute[2], (SIDE, SIDE), "Nodule")
    assert one.sum() == other.sum() == 6
    assert not np.array_equal(one, other)


def test_films_of_three_sorts(folder: Path) -> None:
    dataset = Folder(folder)
    first, second, third = sorted(dataset.samples(), key=lambda sample: sample.patient)
    assert [sample.id for sample in (first, second, third)] == ["a.png", "sub/b", "c.dcm"]
    assert second.path.name == "b.jpg"
    assert all(dataset.read_image(sample).shape == (SIDE, SIDE) for sample in (first, second, third))
    assert [sample.split for sample in (first, second, third)] == ["train", "valid", "test"]
    assert first.labels == {"Mass": 1, "Nodule": 0}
    assert math.isnan(third.labels["Mass"])
    assert third.labels["Nodule"] == -1
    assert first.boxes == (Box("Mass", 2, 3, 4, 5),)
    # What the table does not say, the header does; what it says holds.
    assert (third.patient, third.meta["age"]) == ("P3", "70")
    assert (third.meta["sex"], third.meta["view"]) == ("F", "AP")
    assert first.meta["sex"] == ""
    assert dataset.kind == "real"
    assert dataset.remarks == []


def test_masks_of_two_sorts(folder: Path) -> None:
    dataset = Folder(folder)
    samples = {sample.id: sample for sample in dataset.samples()}
    drawn = dataset.read_mask(samples["a.png"], (SIDE, SIDE), "Mass")
    assert drawn.sum() == 20
    assert drawn[3:8, 2:6].all()
    runs = dataset.read_mask(samples["sub/b"], (SIDE, SIDE), "Nodule")
    assert np.argwhere(runs).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2], [4, 1], [4, 2]]
    with pytest.raises(InputError, match="no region of 'Hernia'"):
        dataset.read_mask(samples["a.png"], (SIDE, SIDE), "Hernia")


def test_run_lengths_of_two_sorts_agree() -> None:
    mask = np.random.default_rng(1).random((9, 7)) < 0.4
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    text = " ".join(f"{start + 1} {stop - start}" for start, stop in turns.reshape(-1, 2).tolist())
    assert (decode_absolute(text, (9, 7), "t:2") == mask).all()
    assert encode_relative(decode_absolute(text, (9, 7), "t:2")) == encode_relative(mask)
    assert not decode_absolute("-1", (9, 7), "t:2").any()
    for wrong, line in (
        ("0 3", "counts from 1"),
        ("5 4 6 2", "overlaps the run before"),
        ("1 2 3", "pairs of start and length"),
        ("1 x", "'x'"),
        ("60 9", "reach pixel"),
    ):
        with pytest.raises(InputError, match=rf"t:2: .*{line}"):
            decode_absolute(wrong, (9, 7), "t:2")


def test_another_table_film_or_mask_is_another_data_set(folder: Path) -> None:
    root = folder.parent.parent
    films = {root / "films" / name for name in ("a.png", "sub/b.jpg", "c.dcm")}
    expected = {root / "films.csv", *films, root / "masks" / "a.png"}
    assert set(Folder(folder).beside()) == expected
    # As well where the path is given from the table.
    table = root / "films.csv"
    table.write_text(table.read_text().replace("../masks", "masks"))
    assert set(Folder(folder).beside()) == expected
    # Nor does what was read as real stay so.
    (root / PHANTOM_MARKER).touch()
    assert set(Folder(folder).beside()) == expected | {root / PHANTOM_MARKER}
    assert Folder(folder).kind == "phantom"


def test_rows_of_one_film_are_not_two_patients(folder: Path) -> None:
    table = folder.parent.parent / "films.csv"
    table.write_text(table.read_text() + "./a.png,P4,test,,,,,,,\n")
    with pytest.raises(InputError, match=r"films\.csv:5: image: '\./a\.png' is the film that row 2 calls 'a"):
        Folder(folder).samples()


def test_a_film_is_not_its_own_mask(folder: Path) -> None:
    table = folder.parent.parent / "films.csv"
    table.write_text(table.read_text().replace("../masks/a.png", "a.png"))
    with pytest.raises(InputError, match=r"films\.csv:2: mask:Mass: 'a\.png' is the film .* and no mask"):
        Folder(folder).samples()
    # Nor is the film of a row further below.
    table.write_text(table.read_text().replace(",a.png,,Mass", ",c.dcm,,Mass"))
    with pytest.raises(InputError, match=r"films\.csv:2: mask:Mass: 'c\.dcm' is the film .* and no mask"):
        Folder(folder).samples()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("c.dcm", "x.dcm", r"films\.csv:4: image: no file 'x\.dcm' below"),
        ("P2,val", "P1,val", r"films\.csv:3: split: patient 'P1' is in valid, and on row 2 in train"),
        (",val,", ",later,", r"films\.csv:3: split: unknown value 'later'"),
        ("P3,test,70", "P3,test,-7", r"films\.csv:4: age: age -7 is negative"),
        ("P3,", ",", r"films\.csv:4: patient: is empty"),
        ("19 3 35 3", "", r"films\.csv:3: Nodule: 'Nodule' is 1, but the film has no mask of it"),
        (",50,1,0,", ",50,0,0,", r"films\.csv:2: Mass: 'Mass' is 0, but the film has a region of it"),
        ("../masks/a.png", "b.bmp", r"films\.csv:2: mask:Mass: no file 'b\.bmp'"),
        ("c.dcm,P3,test", "a.png,P1,train", r"films\.csv:4: image: duplicate id, first on row 2"),
    ],
)
def test_what_is_wrong_costs_one_line(folder: Path, old: str, new: str, line: str) -> None:
    path = folder.parent.parent / "films.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=line) as caught:
        Folder(folder).samples()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("age", "years"),
    [("053Y", "53"), ("018M", "1"), ("52.5", "52.5"), ("?", ""), ("unknown", ""), ("inf", ""), ("", "")],
)
def test_ages(folder: Path, age: str, years: str) -> None:
    path = folder.parent.parent / "films.csv"
    path.write_text(path.read_text().replace("P3,test,70", f"P3,test,{age}"))
    dataset = Folder(folder)
    assert {sample.id: sample.meta["age"] for sample in dataset.samples()}["c.dcm"] == years
    unread = [] if years or not age else ["1 ages cannot be read and are left empty"]
    assert dataset.remarks == unread


def test_a_box_that_stands_twice_is_taken_once(folder: Path) -> None:
    path = folder.parent.parent / "films.csv"
    path.write_text(
        path.read_text().replace("Mass: 2 3 4 5", "Mass: 2 3 4 5; Mass: 1 1 2 2; Mass: 2 3 4.0 5")
    )
    dataset = Folder(folder)
    first = next(sample for sample in dataset.samples() if sample.id == "a.png")
    assert first.boxes == (Box("Mass", 2, 3, 4, 5), Box("Mass", 1, 1, 2, 2))
    assert dataset.remarks == ["1 boxes stand twice on their film and are taken once"]


@pytest.mark.parametrize(
    ("box", "wanted"), [("-1 3 4 5", Box("Mass", 0, 3, 3, 5)), ("13 3 4 5", Box("Mass", 13, 3, 3, 5))]
)
def test_boxes_are_held_against_the_film(folder: Path, box: str, wanted: Box) -> None:
    path = folder.parent.parent / "films.csv"
    text = path.read_text()
    path.write_text(text.replace("Mass: 2 3 4 5", f"Mass: {box}"))
    dataset = Folder(folder)
    first = next(sample for sample in dataset.samples() if sample.id == "a.png")
    assert first.boxes == (wanted,)
    x, rest = box.split(" ", 1)
    further = int(x) + (1 if int(x) > 0 else -1)
    path.write_text(text.replace("Mass: 2 3 4 5", f"Mass: {further} {rest}"))
    with pytest.raises(InputError, match=rf"films\.csv:2: boxes: box from {further} to .* \(0 to {SIDE}\)"):
        Folder(folder).samples()


def test_boxes_in_shares_of_the_film(folder: Path) -> None:
    path = folder.parent.parent / "films.csv"
    path.write_text(path.read_text().replace("Mass: 2 3 4 5", "Mass: 0.5 0.5 0.25 0.125"))
    with pytest.raises(InputError, match=r"films\.csv:2: boxes: .*shares of the film: want pixels"):
        Folder(folder).samples()


def test_two_films_of_one_name(folder: Path) -> None:
    films = folder.parent.parent / "films"
    (films / "more").mkdir()
    for place in ("more", "sub"):
        (films / place / "a.png").write_bytes((films / "a.png").read_bytes())
    path = folder.parent.parent / "films.csv"
    (films / "a.png").unlink()
    with pytest.raises(InputError, match=r"films\.csv:2: image: 2 files have this name"):
        Folder(folder).samples()
    path.write_text(path.read_text().replace("\na.png", "\nmore/a.png"))
    dataset = Folder(folder)
    assert len(dataset.samples()) == 3
    assert dataset.remarks == ["1 films below the folder stand in no row and are left out"]


def test_nobody_says_whose_film_it_is(folder: Path) -> None:
    path = folder / DESCRIPTION
    path.write_text(path.read_text().replace('patient = "patient"\n', ""))
    with pytest.raises(InputError, match=r"films\.csv:2: patient: no column says whose film it is; name one"):
        Folder(folder).samples()
    table = folder.parent.parent / "films.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([rows[0], rows[3]]) + "\n")
    assert [sample.patient for sample in Folder(folder).samples()] == ["header"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('image = "image"\n', "", r"folder\.toml: is not what an import wrote .*columns\.image"),
        ("[columns]", "[columns", r"folder\.toml: not valid TOML: .*line 4"),
        ('films = "../../films"', 'films = "../nowhere"', "which is no folder; import them again"),
    ],
)
def test_a_damaged_description(folder: Path, old: str, new: str, line: str) -> None:
    path = folder / DESCRIPTION
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=line):
        read_description(path)
    path.unlink()
    with pytest.raises(InputError, match="g2d-bench data import"):
        read_description(path)
