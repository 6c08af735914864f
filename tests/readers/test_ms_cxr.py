"""MS-CXR reader: CSV and JSON alike, several boxes for a phrase, and every field that can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Phrase
from g2d_bench.readers.ms_cxr import MsCxr, read_alignment

CSV = "MS_CXR_Local_Alignment_v1.1.0.csv"
JSON = "MS_CXR_Local_Alignment_v1.0.0.json"
A = "files/p10/p10000032/s50414267/aaaa-1.jpg"
B = "files/p11/p11000001/s50000009/bbbb-2.jpg"
TEXT = (
    "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split\n"
    f'bbbb-2,Pneumonia,"right base opacity, new",{B},100,200,300,400,2544,3056,test\n'
    f"aaaa-1,Pleural Effusion,small bilateral effusions,{A},10,20,30,40,3056,2544,val\n"
    f"aaaa-1,Pleural Effusion,small bilateral effusions,{A},2000,20,30,40,3056,2544,val\n"
    f"aaaa-1,Atelectasis,left basilar atelectasis,{A},1000,1500,500,600,3056,2544,val\n"
)


def coco() -> dict[str, Any]:
    return {
        "images": [
            {"id": 1, "path": B, "width": 2544, "height": 3056, "file_name": "bbbb-2.jpg"},
            {"id": 2, "path": A, "width": 3056, "height": 2544, "file_name": "aaaa-1.jpg"},
        ],
        "categories": [
            {"id": 1, "name": "Pneumonia"},
            {"id": 2, "name": "Pleural Effusion"},
            {"id": 3, "name": "Atelectasis"},
        ],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 1,
                "bbox": [100, 200, 300, 400],
                "label_text": "right base opacity, new",
            },
            {
                "image_id": 2,
                "category_id": 2,
                "bbox": [10, 20, 30, 40],
                "label_text": "small bilateral effusions",
            },
            {
                "image_id": 2,
                "category_id": 2,
                "bbox": [2000, 20, 30, 40],
                "label_text": "small bilateral effusions",
            },
            {
                "image_id": 2,
                "category_id": 3,
                "bbox": [1000, 1500, 500, 600],
                "label_text": "left basilar atelectasis",
            },
        ],
    }


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "ms-cxr"
    root.mkdir()
    (root / CSV).write_text(TEXT)
    for name in (A, B):
        path = tmp_path / "mimic-cxr-jpg" / name
        path.parent.mkdir(parents=True)
        path.write_text("x")
    return root


def test_small_release(release: Path) -> None:
    first, second = MsCxr(release).samples()
    assert (first.id, first.patient, second.id, second.patient) == (
        "aaaa-1",
        "10000032",
        "bbbb-2",
        "11000001",
    )
    assert first.path == release.parent / "mimic-cxr-jpg" / A
    effusions = (Box("Pleural Effusion", 10, 20, 30, 40), Box("Pleural Effusion", 2000, 20, 30, 40))
    atelectasis = Box("Atelectasis", 1000, 1500, 500, 600)
    assert first.phrases == (
        Phrase("small bilateral effusions", effusions),
        Phrase("left basilar atelectasis", (atelectasis,)),
    )
    assert first.boxes == (*effusions, atelectasis)
    assert first.labels == {"Pleural Effusion": 1, "Atelectasis": 1}
    assert second.phrases[0].text == "right base opacity, new"
    # The file's own split is not to be used, say its authors.
    assert (first.split, first.meta["release_split"]) == ("", "val")
    assert (first.meta["width"], first.meta["height"]) == ("3056", "2544")


def test_json_reads_like_csv(release: Path) -> None:
    (release / JSON).write_text(json.dumps(coco()))
    from_csv, from_json = read_alignment(release / CSV), read_alignment(release / JSON)
    assert [(s.id, s.patient, s.path, s.phrases, s.labels) for s in from_csv] == [
        (s.id, s.patient, s.path, s.phrases, s.labels) for s in from_json
    ]
    assert from_json[0].meta["release_split"] == ""


def test_newest_version_and_own_images_win(release: Path) -> None:
    (release / JSON).write_text("not read")
    (release / "MS_CXR_Local_Alignment_v1.1.0.json").write_text("not read")
    (release / "MS_CXR_Local_Alignment_v1.1.0.pdf").write_text("not read")
    assert len(MsCxr(release).samples()) == 2
    (release.parent / "mimic-cxr-jpg" / "files").rename(release / "files")
    assert MsCxr(release).samples()[0].path == release / A


def test_images_of_mimic_that_the_table_does_not_name_are_no_error(release: Path) -> None:
    (release.parent / "mimic-cxr-jpg" / A).with_name("other.jpg").write_text("x")
    assert len(MsCxr(release).samples()) == 2


def test_a_box_given_twice_counts_once(release: Path) -> None:
    (release / CSV).write_text(TEXT.replace("2000,20", "10,20"))
    assert [len(phrase.boxes) for phrase in MsCxr(release).samples()[0].phrases] == [1, 1]


def test_box_one_pixel_past_the_edge_is_clipped(release: Path) -> None:
    (release / CSV).write_text(TEXT.replace("100,200,300,400", "-1,200,300,400"))
    assert MsCxr(release).samples()[1].boxes == (Box("Pneumonia", 0, 200, 299, 400),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label_text", "text", r"v1\.1\.0\.csv:1: label_text: column is missing"),
        (
            "Pneumonia",
            "Pneumonias",
            r"csv:2: category_name: unknown value 'Pneumonias', did you mean 'Pneumonia'",
        ),
        ('"right base opacity, new"', "", r"csv:2: label_text: is empty"),
        ('"right base opacity, new"', "right base opacity, new", r"csv:2: has 12 cells, 11 are needed"),
        ("bbbb-2,", ",", r"csv:2: dicom_id: is empty"),
        ("bbbb-2,", "cccc-2,", r"csv:2: path: names another image than dicom_id 'cccc-2'"),
        (B, "p11/bbbb-2.jpg", r"csv:2: path: 'p11/bbbb-2\.jpg' does not look like files/"),
        (A, A.replace("s50414267", "s50414268"), r"csv:4: path: size or path of 'aaaa-1' differs from row 3"),
        ("100,200", "x,200", r"csv:2: x: 'x' is not a number"),
        ("100,200", ",200", r"csv:2: x: is empty"),
        ("100,200", "-100,200", r"csv:2: x: box from -100"),
        ("100,200", "100,2900", r"csv:2: y: box from 2900 to 3300 lies outside"),
        ("300,400", "-300,400", r"csv:2: w: box of size -300"),
        ("300,400", "300,0", r"csv:2: h: box of size 0"),
        ("2544,3056", "0,3056", r"csv:2: image_width: image size 0"),
        ("3056,2544", "3056,2545", r"csv:4: path: size or path of 'aaaa-1' differs"),
        (
            "bbbb-2,",
            "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split\nbbbb-2,",
            "a header row",
        ),
        ("opacity", "opacit\udce9", r"csv:2: label_text: byte 0xe9"),
    ],
)
def test_malformed_csv(release: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    (release / CSV).write_bytes(TEXT.replace(old, new, 1).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message) as caught:
        MsCxr(release).samples()
    assert "\n" not in str(caught.value)


def drop(key: str, position: int, field: str) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        del data[key][position][field]

    return edit


def put(key: str, position: int, field: str, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        data[key][position][field] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.pop("images"), r"v1\.0\.0\.json: images: a list of objects is needed"),
        (lambda data: data.update(annotations=[]), r"json: holds no annotations"),
        (drop("images", 0, "width"), r"json: images\[0\]\.width: key is missing"),
        (drop("annotations", 1, "bbox"), r"json: annotations\[1\]\.bbox: key is missing"),
        (put("annotations", 1, "bbox", [1, 2, 3]), r"json: annotations\[1\]\.bbox: four numbers are needed"),
        (
            put("annotations", 1, "image_id", 7),
            r"json: annotations\[1\]\.image_id: image_id 7 is not declared",
        ),
        (
            put("annotations", 1, "category_id", 7),
            r"json: annotations\[1\]\.category_id: category_id 7 is not",
        ),
        (put("images", 1, "id", 1), r"json: images\[1\]\.id: duplicate id 1"),
        (put("categories", 0, "name", "Cancer"), r"json:1: category_name: unknown value 'Cancer'"),
        (put("annotations", 0, "bbox", [1, 2, "x", 4]), r"json:1: w: 'x' is not a number"),
        (put("annotations", 3, "bbox", [3000, 2, 200, 4]), r"json:4: x: box from 3000 to 3200 lies outside"),
        (put("images", 0, "height", -5), r"json:1: image_height: image size -5"),
    ],
)
def test_malformed_json(release: Path, edit: Callable[[dict[str, Any]], None], message: str) -> None:
    (release / CSV).unlink()
    data = coco()
    edit(data)
    (release / JSON).write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        MsCxr(release).samples()


def test_not_json(release: Path) -> None:
    (release / CSV).unlink()
    (release / JSON).write_text('{"images": [\n}')
    with pytest.raises(InputError, match=r"v1\.0\.0\.json:2: is not JSON"):
        MsCxr(release).samples()
    (release / JSON).write_text("[]")
    with pytest.raises(InputError, match=r"an object is needed"):
        MsCxr(release).samples()
    (release / JSON).unlink()
    with pytest.raises(InputError, match=r"v1\.1\.0\.csv: table not found"):
        MsCxr(release).samples()


def test_missing_image(release: Path) -> None:
    (release.parent / "mimic-cxr-jpg" / B).unlink()
    with pytest.raises(
        InputError, match=r"csv:2: path: no image files/p11/.*bbbb-2\.jpg below .*mimic-cxr-jpg"
    ):
        MsCxr(release).samples()
    (release.parent / "mimic-cxr-jpg").rename(release.parent / "elsewhere")
    with pytest.raises(InputError, match=r"no image files/.* \(2 of 2 ids\)"):
        MsCxr(release).samples()


def test_films_are_found_beside_what_a_link_leads_to(release: Path) -> None:
    linked = release.parent / "data" / "here" / "ms-cxr"
    linked.parent.mkdir(parents=True)
    linked.symlink_to(release)
    samples = MsCxr(linked).samples()
    assert samples[0].path.resolve() == (release.parent / "mimic-cxr-jpg" / A).resolve()
