"""Releases as they are delivered: other names, other levels, batches, spreadsheets, parts of their own."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cli.main import main
from g2d_bench.data.divide import divide, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.chexpert import LABELS, CheXpert
from g2d_bench.readers.covidx import Covidx
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.rsna import Rsna
from g2d_bench.readers.siim import Siim
from g2d_bench.readers.tables import read_table


def text(path: Path, content: str | bytes = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- PhysioNet ---------------------------------------------------------------------------------------------

PLACE = "files/p10/p10000032/s50414267/a.jpg"


@pytest.fixture
def physionet(tmp_path: Path) -> Path:
    """What PhysioNet's own wget command lays down: MS-CXR, MIMIC-CXR-JPG, and MIMIC-CXR with the reports."""
    files = tmp_path / "physionet.org" / "files"
    text(
        files / "ms-cxr/1.1.0/MS_CXR_Local_Alignment_v1.1.0.csv",
        "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height\n"
        f"a,Pneumonia,opacity,{PLACE},1,2,3,4,10,12\n",
    )
    for name, table in {
        "metadata": "dicom_id,subject_id,study_id,ViewPosition\na,10000032,50414267,PA\n",
        "split": "dicom_id,study_id,subject_id,split\na,50414267,10000032,train\n",
    }.items():
        text(files / f"mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-{name}.csv.gz", gzip.compress(table.encode()))
    image = text(files / "mimic-cxr-jpg/2.1.0" / PLACE)
    Image.new("L", (10, 12)).save(image)
    text(files / "mimic-cxr/2.1.0/files/p10/p10000032/s50414267.txt", "FINDINGS: Clear.")
    text(files / "mimic-cxr-jpg/index.html")
    return tmp_path


@pytest.mark.parametrize("root", ["physionet.org/files", "physionet.org", "."])
def test_physionet_as_wget_leaves_it(physionet: Path, root: str) -> None:
    files = physionet / "physionet.org/files"
    phrases = open_dataset("ms-cxr", physionet / root)
    assert phrases.root.samefile(files / "ms-cxr/1.1.0")
    [sample] = Manifest.open(phrases).samples
    assert sample.path.samefile(files / "mimic-cxr-jpg/2.1.0" / PLACE)
    assert sample.boxes == (Box("Pneumonia", 1, 2, 3, 4),)
    films = open_dataset("mimic-cxr", physionet / root)
    assert films.root.samefile(files / "mimic-cxr-jpg/2.1.0")
    [sample] = films.samples()
    assert sample.report == "FINDINGS: Clear."


def test_folders_named_with_a_version(physionet: Path) -> None:
    files = physionet / "physionet.org/files"
    (files / "ms-cxr").rename(files / "ms-cxr-making-the-most-of-text-semantics-1.1.0")
    assert (
        open_dataset("ms-cxr", files).root == files / "ms-cxr-making-the-most-of-text-semantics-1.1.0/1.1.0"
    )


# --- SIIM --------------------------------------------------------------------------------------------------


def test_the_table_of_the_second_stage(tmp_path: Path) -> None:
    text(tmp_path / "siim/stage_2_train.csv", "ImageId,EncodedPixels\n1.a,-1\n1.b,3 4\n")
    samples = open_dataset("siim", tmp_path).table_samples()
    assert [(s.id, s.annotation) for s in samples] == [("1.a", ()), ("1.b", ("3 4",))]
    # That of the release goes first.
    text(tmp_path / "siim/train-rle.csv", "ImageId, EncodedPixels\n1.c, -1\n")
    assert [s.id for s in Siim(tmp_path / "siim").table_samples()] == ["1.c"]


def test_films_without_a_row_are_counted(tmp_path: Path, write_dicom: object) -> None:
    assert callable(write_dicom)
    text(tmp_path / "stage_2_train.csv", "ImageId,EncodedPixels\n1.a,-1\n")
    for name in ("1.a", "1.b", "1.c"):
        write_dicom(tmp_path / f"dicom-images-train/{name}.dcm", np.zeros((4, 4), np.uint8), PatientID=name)
    data = Siim(tmp_path)
    data.samples()
    assert data.remarks == ["2 films of dicom-images-train have no row in stage_2_train.csv and are left out"]


# --- CheXpert ----------------------------------------------------------------------------------------------

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(LABELS)
VALUES = ",".join(["0.0"] * len(LABELS))


def chexpert(base: Path) -> list[str]:
    names = [f"train/patient{n:05}/study1/view1_frontal.jpg" for n in (1, 2, 3)]
    valid = "valid/patient64541/study1/view1_frontal.jpg"
    for split, places in (("train", names), ("valid", [valid])):
        lines = [f"CheXpert-v1.0/{place},Male,60,Frontal,AP,{VALUES}" for place in places]
        text(base / f"{split}.csv", "\n".join([HEADER, *lines]) + "\n")
    text(base / valid)
    return names


@pytest.mark.parametrize("level", ["", "train/"])
def test_chexpert_in_batches(tmp_path: Path, level: str) -> None:
    first = tmp_path / "chexpert/CheXpert-v1.0 batch 1 (validate & csv)"
    names = chexpert(first)
    batches = ["CheXpert-v1.0 batch 2 (train 1)", "CheXpert-v1.0 batch 3 (train 2)"]
    for n, name in enumerate(names):
        text(tmp_path / "chexpert" / batches[n // 2] / level / name.removeprefix("train/"))
    data = open_dataset("chexpert", tmp_path)
    samples = data.samples()
    assert [s.id for s in samples] == [
        *(name[:-4] for name in names),
        "valid/patient64541/study1/view1_frontal",
    ]
    assert all(s.path.is_file() for s in samples)
    text(tmp_path / "chexpert" / batches[1] / "patient00001/study1/view1_frontal.jpg")
    with pytest.raises(InputError, match=r"batch 3 .*: a second file for the same image, beside .*batch 2"):
        data.samples()


def test_a_batch_that_lies_there_packed(tmp_path: Path) -> None:
    chexpert(tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)")
    text(tmp_path / "CheXpert-v1.0 batch 2 (train 1).zip")
    with pytest.raises(InputError, match=r"\(3 of 3 ids\); CheXpert-v1\.0 batch 2 .*\.zip lies there packed"):
        CheXpert(tmp_path).samples()


def test_the_plain_layout_is_read_as_ever(tmp_path: Path) -> None:
    for name in chexpert(tmp_path):
        text(tmp_path / name)
    samples = CheXpert(tmp_path).samples()
    assert [s.path for s in samples][:1] == [tmp_path / "train/patient00001/study1/view1_frontal.jpg"]
    assert len(samples) == 4


def test_a_release_without_a_test_part_says_so(tmp_path: Path) -> None:
    chexpert(tmp_path)
    data = CheXpert(tmp_path)
    card = Catalogue.open().tasks["chexpert-cls"]
    with pytest.raises(
        InputError, match=r"test part .* is empty: .* has train 3, val 1, test 0\..*test-set-labels"
    ):
        divide(card, "clean", usable(data.table_samples(), card), data)


# --- COVIDx ------------------------------------------------------------------------------------------------


def covidx(root: Path) -> Covidx:
    lists = {
        "train": [f"{n} t{n}.png {word} cohen" for n, word in enumerate(("normal", "pneumonia", "COVID-19"))],
        "val": ["7 v.png normal cohen"],
        "test": ["8 e.png normal cohen"],
    }
    for part, lines in lists.items():
        text(root / f"{part}.txt", "\n".join(lines) + "\n")
        for line in lines:
            text(root / part / line.split()[1])
    return Covidx(root)


def test_covidx_with_a_validation_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = covidx(tmp_path)
    samples = data.samples()
    assert {s.id: s.split for s in samples} == {
        **dict.fromkeys(("t0.png", "t1.png", "t2.png"), "train"), "v.png": "val", "e.png": "test"
    }  # fmt: skip
    assert data.remarks == []
    card = Catalogue.open().tasks["covidx-cls"]
    split = divide(card, "clean", usable(samples, card), data)
    assert (split.val, split.test) == (("v.png",), ("e.png",))
    assert "a validation part of its own (1 images)" in capsys.readouterr().err


def test_covidx_images_without_a_validation_list(tmp_path: Path) -> None:
    data = covidx(tmp_path)
    (tmp_path / "val.txt").unlink()
    assert len(data.samples()) == 4
    assert data.remarks == ["1 images in val/ are left out: there is no list val.txt"]
    text(tmp_path / "val.txt", "0 t0.png normal cohen\n")
    with pytest.raises(
        InputError, match=r"val\.txt:1: filename: duplicate id 't0\.png', also in the train list"
    ):
        data.samples()


# --- tables that went through a spreadsheet ----------------------------------------------------------------

PLAIN = "patientId,x,y,width,height,Target\np0,100.5,100,200,200,1\np1,,,,,0\n"
SEMICOLONS = PLAIN.replace(",", ";").replace(".", ",").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + SEMICOLONS,
        "sep=;\r\n" + SEMICOLONS,
        PLAIN.replace(",", "\t").encode("utf-16"),
        SEMICOLONS.encode("utf-16-le"),
        PLAIN.replace(",", "|"),
    ],
    ids=["european", "hint", "unicode-text", "no-mark", "bars"],
)
def test_a_table_saved_by_a_spreadsheet(tmp_path: Path, content: str | bytes) -> None:
    text(tmp_path / "stage_2_train_labels.csv", content)
    samples = Rsna(tmp_path).table_samples()
    assert [(s.id, s.boxes) for s in samples] == [
        ("p0", (Box("Pneumonia", 100.5, 100, 200, 200),)),
        ("p1", ()),
    ]


def test_rows_keep_their_number_below_a_hint(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "sep=;\nid;value\na;1,5\nb;x\n")
    rows = read_table(path, ("id", "value")).rows
    assert (rows[0].line, rows[0].number("value")) == (3, 1.5)
    with pytest.raises(InputError, match=r"t\.csv:4: value: 'x' is not a number"):
        rows[1].number("value")
    # A comma between digits is no decimal comma where commas separate.
    assert read_table(text(path, 'id,value\na,"1,5"\n'), ("id",)).rows[0]["value"] == "1,5"


def test_objects_between_semicolons_are_no_columns(tmp_path: Path) -> None:
    path = text(tmp_path / "train.csv", "image_name,annotation\na.jpg,0 1 2 3 4;0 5 6 7 8\n")
    assert read_table(path, ("image_name", "annotation")).rows[0]["annotation"] == "0 1 2 3 4;0 5 6 7 8"


# --- what was left aside is said ---------------------------------------------------------------------------


def test_status_says_what_was_left_aside(tmp_path: Path) -> None:
    text(
        tmp_path / "covid-cxr/metadata.csv",
        "patientid,sex,age,finding,view,modality,folder,filename,clinical_notes\n"
        "1,M,50,COVID-19,PA,X-ray,images,a.png,\n2,M,50,COVID-19,Axial,CT,images,b.png,\n",
    )
    (tmp_path / "covid-cxr/images").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "covid-cxr/images/a.png")
    Manifest.open(open_dataset("covid-cxr", tmp_path))
    result = CliRunner().invoke(main, ["data", "status", "--data-root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    line = "  covid-cxr: 1 rows of metadata.csv are no frontal radiographs (CT, lateral) and are left out"
    assert line in result.stdout.splitlines()
