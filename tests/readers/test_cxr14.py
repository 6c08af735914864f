"""ChestX-ray14 reader: counts of the real tables, a small release, and every field that can be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.cxr14 import LABELS, Cxr14, read_boxes, read_entries

ENTRIES = "Data_Entry_2017_v2020.csv"
BOXES = "BBox_List_2017.csv"
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
FILES = {
    ENTRIES: (
        f"{HEADER}\n"
        "00000001_000.png,Cardiomegaly|Infiltration,0,1,57,M,PA,2682,2749,0.143,0.143\n"
        "00000001_001.png,No Finding,1,1,58,M,AP,2894,2729,0.143,0.143\n"
        "00000002_000.png,Pleural_Thickening,0,2,80,F,PA,2500,2048,0.171,0.171\n"
    ),
    BOXES: (
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Infiltrate,225.08,547.01,86.77,79.18\n"
        "00000001_000.png,Cardiomegaly,100,200,300,400\n"
    ),
    "train_val_list.txt": "00000002_000.png\n",
    "test_list.txt": "00000001_000.png\n00000001_001.png\n",
    "images_001/images/00000001_000.png": "x",
    "images_001/images/00000001_001.png": "x",
    "images_002/images/00000002_000.png": "x",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_small_release(release: Path) -> None:
    samples = Cxr14(release).samples()
    assert [(s.id, s.patient, s.split) for s in samples] == [
        ("00000001_000.png", "1", "test"),
        ("00000001_001.png", "1", "test"),
        ("00000002_000.png", "2", "train"),
    ]
    assert [[label for label in LABELS if s.labels[label]] for s in samples] == [
        ["Cardiomegaly", "Infiltration"],
        [],
        ["Pleural Thickening"],
    ]
    assert all(len(s.labels) == 14 for s in samples)
    assert samples[0].boxes == (
        Box("Infiltration", 225.08, 547.01, 86.77, 79.18),
        Box("Cardiomegaly", 100, 200, 300, 400),
    )
    assert samples[2].path == release / "images_002/images/00000002_000.png"
    assert samples[0].meta == {"row": "2", "sex": "M", "age": "57", "view": "PA", "boxes": "yes"}
    assert [s.meta["boxes"] for s in samples] == ["yes", "no", "no"]


def test_first_edition(release: Path) -> None:
    """It has a comma at the end of the header, and ages such as 058Y."""
    (release / ENTRIES).unlink()
    text = FILES[ENTRIES].replace("[x,y]\n", "[x,y],\n").replace(",58,", ",058Y,").replace(",80,", ",000D,")
    (release / "Data_Entry_2017.csv").write_text(text.replace(",000D,", ",000Y,"))
    assert [s.meta["age"] for s in Cxr14(release).samples()] == ["57", "58", "0"]


def test_boxes_are_optional(release: Path) -> None:
    (release / BOXES).unlink()
    assert all(not s.boxes for s in Cxr14(release).samples())


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (ENTRIES, "Finding Labels", "Findings", r"v2020\.csv:1: Finding Labels: column is missing"),
        (
            ENTRIES,
            "00000001_001.png,No",
            f"{HEADER}\n00000001_001.png,No",
            r"v2020\.csv:3: .* a header row among",
        ),
        (ENTRIES, "00000002_000", "00000001_000", r"v2020\.csv:4: Image Index: duplicate id"),
        (ENTRIES, "No Finding", "", r"v2020\.csv:3: Finding Labels: is empty"),
        (ENTRIES, "No Finding", "No Finding|Mass", r"v2020\.csv:3: Finding Labels: 'No Finding' beside"),
        (ENTRIES, "No Finding", "Masses", r"Finding Labels: unknown value 'Masses', did you mean 'Mass'"),
        (ENTRIES, "1,1,58", "1,,58", r"v2020\.csv:3: Patient ID: is empty"),
        (ENTRIES, "58,M", "58,X", r"v2020\.csv:3: Patient Gender: unknown value 'X'"),
        (ENTRIES, "M,AP", "M,LL", r"v2020\.csv:3: View Position: unknown value 'LL'"),
        (ENTRIES, ",2894", ",-2894", r"v2020\.csv:3: OriginalImage\[Width: image size -2894"),
        (ENTRIES, ",2729", ",", r"v2020\.csv:3: Height\]: is empty"),
        (ENTRIES, "0.143\n", "0.143,5\n", r"v2020\.csv:2: has 12 cells, 11 are needed"),
        (ENTRIES, "Cardiomegaly", "\udce9", r"v2020\.csv:2: Finding Labels: byte 0xe9"),
        (ENTRIES, None, None, r"v2020\.csv: table not found"),
        (BOXES, "Bbox [x", "x", r"List_2017\.csv:1: Bbox \[x: column is missing"),
        (
            BOXES,
            "Infiltrate",
            "Infiltrates",
            r"2017\.csv:2: Finding Label: unknown value 'Infiltrates', did you",
        ),
        (BOXES, "225.08", "left", r"2017\.csv:2: Bbox \[x: 'left' is not a number"),
        (BOXES, "225.08", "", r"2017\.csv:2: Bbox \[x: is empty"),
        (BOXES, "225.08", "1000", r"2017\.csv:2: Bbox \[x: box from 1000 to 1086\.77 lies outside"),
        (BOXES, "547.01", "-5", r"2017\.csv:2: y: box from -5"),
        (BOXES, "86.77", "-86", r"2017\.csv:2: w: box of size -86"),
        (BOXES, "79.18", "0", r"2017\.csv:2: h\]: box of size 0"),
        (
            BOXES,
            "Infiltrate,225.08,547.01,86.77,79.18",
            "Cardiomegaly,100,200,300,400",
            r"2017\.csv:3: .*duplicate box",
        ),
        (BOXES, "Cardiomegaly", "Hernia", r"2017\.csv:3: Finding Label: .* lacks the finding 'Hernia'"),
        (BOXES, "00000001_000", "00000009_000", r"2017\.csv:2: Image Index: .* is not in the image table"),
        ("test_list.txt", None, None, r"test_list\.txt: table not found"),
        ("test_list.txt", "00000001_001", "7", r"test_list\.txt:2: Image Index: image '7\.png' is not in"),
        (
            "test_list.txt",
            "00000001_001",
            "00000002_000",
            r"test_list\.txt:2: .*duplicate id .* already in train",
        ),
        ("test_list.txt", "\n00000001_001.png", "", r"'00000001_001\.png' is in neither list \(1 images\)"),
        ("test_list.txt", "_001.png", "_001.png extra,1", r"test_list\.txt:2: has 2 cells, 1 are needed"),
        ("images_002/images/00000002_000.png", None, None, r"v2020\.csv:4: Image Index: no image"),
        ("images_002/images/9.png", "", "x", r"9\.png: image without a row in Data_Entry"),
        ("images_002/images/00000001_000.png", "", "x", r"a second file for the same image"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        Cxr14(release).samples()
    assert "\n" not in str(caught.value)


def test_real_counts(real_pack: Path) -> None:
    folder = real_pack / "annotations/nih"
    samples = read_entries(folder / f"{ENTRIES}.gz")
    assert len(samples) == 112120
    assert len({s.patient for s in samples}) == 30805
    counts = Counter(label for s in samples for label, value in s.labels.items() if value)
    assert (counts["Infiltration"], counts["Pleural Thickening"], counts["Hernia"]) == (19894, 3385, 227)
    assert sum(not any(s.labels.values()) for s in samples) == 60361
    boxes = read_boxes(folder / f"{BOXES}.gz")
    labels = Counter(box.label for group in boxes.values() for _, box in group)
    assert (len(boxes), sum(labels.values()), len(labels)) == (880, 984, 8)
    assert labels["Infiltration"] == 123


@pytest.mark.slow
def test_real_tables_agree(real_pack: Path) -> None:
    samples = Cxr14(real_pack / "annotations/nih").table_samples()
    assert sum(len(s.boxes) for s in samples) == 984
    assert Counter(s.split for s in samples) == {"train": 86524, "test": 25596}


def test_lists_of_a_download_without_them(release: Path) -> None:
    """Those that ship with the suite are NIH's: the same parts, and so the same content."""
    with_lists = {s.id: s.split for s in Cxr14(release).samples()}
    for name in ("train_val_list.txt", "test_list.txt"):
        (release / name).unlink()
    shipped = Cxr14(release)
    samples = shipped.samples()
    assert {s.split for s in samples} == {"train"}, (
        "by NIH's lists, as the first two patients are in training"
    )
    assert shipped.remarks == [
        "3 images are divided by NIH's train_val_list.txt and test_list.txt as shipped"
    ]
    assert set(with_lists) == {s.id for s in samples}
