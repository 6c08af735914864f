"""CheXpert reader: prefixes, uncertain labels, test labels by study, and every field that can be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.data.legacy_splits import legacy_split
from g2d_bench.errors import InputError
from g2d_bench.readers.chexpert import COMPETITION, LABELS, CheXpert, strip_prefix

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(LABELS)
TRAIN = "train.csv"
VALID = "valid.csv"
TRUTH = "groundtruth.csv"
ONE = "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg"
TWO = "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg"
THREE = "CheXpert-v1.0-small/train/patient00002/study2/view2_lateral.jpg"
FILES = {
    TRAIN: (
        f"{HEADER}\n"
        f"{TWO},Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n"
        f"{THREE},Female,87,Lateral,,,,,1.0,,,,,,,,,,1.0\n"
        f"{ONE},Unknown,0,Frontal,PA,1.0,,,,,,,,,0.0,,,,1.0\n"
    ),
    VALID: (
        f"{HEADER}\n"
        "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
        "0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
    ),
    TRUTH: (
        "Study,No Finding,Atelectasis,Cardiomegaly,Consolidation,Edema,Pleural Effusion\n"
        "CheXpert-v1.0/test/patient64741/study1,0.0,0.0,1.0,0.0,0.0,1.0\n"
    ),
}
IMAGES = (
    "train/patient00001/study1/view1_frontal.jpg",
    "train/patient00002/study2/view1_frontal.jpg",
    "train/patient00002/study2/view2_lateral.jpg",
    "valid/patient64541/study1/view1_frontal.jpg",
    "test/patient64741/study1/view1_frontal.jpg",
    "test/patient64741/study1/view2_lateral.jpg",
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for name in IMAGES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_small_release(release: Path) -> None:
    samples = {sample.id: sample for sample in CheXpert(release).samples()}
    assert list(samples) == sorted(name[:-4] for name in IMAGES)
    two = samples["train/patient00002/study2/view1_frontal"]
    assert two.patient == "patient00002"
    assert two.path == release / IMAGES[1]
    assert (two.labels["Cardiomegaly"], two.labels["Lung Opacity"]) == (-1, 1)
    assert math.isnan(two.labels["No Finding"])
    assert two.meta == {
        "row": "2",
        "view": "frontal",
        "study": "study2",
        "sex": "Female",
        "age": "87",
        "projection": "AP",
    }
    assert {s.split for s in samples.values()} == {"train", "valid", "test"}
    test = [s for s in samples.values() if s.split == "test"]
    assert [s.meta["view"] for s in test] == ["frontal", "lateral"]
    assert test[0].labels["Pleural Effusion"] == 1
    assert "Fracture" not in test[0].labels


def test_columns_are_read_by_name(release: Path) -> None:
    """Copies of the table put Lung Lesion before Lung Opacity."""
    text = FILES[TRAIN].replace("Lung Opacity,Lung Lesion", "Lung Lesion,Lung Opacity")
    (release / TRAIN).write_text(text)
    two = next(s for s in CheXpert(release).samples() if s.meta["row"] == "2" and s.split == "train")
    assert two.labels["Lung Lesion"] == 1
    assert math.isnan(two.labels["Lung Opacity"])


@pytest.mark.parametrize("prefix", ["CheXpert-v1.0/", "CheXpert-v1.0-small/", "CheXpert-v1.0 batch 2/", ""])
def test_prefixes(prefix: str) -> None:
    assert strip_prefix(f"{prefix}train/patient1/x.jpg") == "train/patient1/x.jpg"


def test_release_one_folder_down_with_full_size_prefix(
    release: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    release.rename(outer / "CheXpert-v1.0")
    table = outer / "CheXpert-v1.0" / TRAIN
    table.write_text(table.read_text().replace("-small", ""))
    assert len(CheXpert(outer).samples()) == 6


def test_test_labels_by_image(release: Path) -> None:
    (release / TRUTH).unlink()
    header = "Path," + ",".join(LABELS)
    zeros = ",0.0" * 13
    rows = [f"test/patient64741/study1/{name}.jpg{zeros},1.0" for name in ("view1_frontal", "view2_lateral")]
    (release / "test" / "test_labels.csv").write_text("\n".join([header, *rows]))
    test = [s for s in CheXpert(release).samples() if s.split == "test"]
    assert [s.labels["Support Devices"] for s in test] == [1, 1]
    assert [s.labels["Edema"] for s in test] == [0, 0]


def test_test_set_is_optional(release: Path) -> None:
    (release / TRUTH).unlink()
    with pytest.raises(InputError, match=r"view1_frontal\.jpg: 2 test images without labels"):
        CheXpert(release).samples()
    for name in IMAGES[4:]:
        (release / name).unlink()
    assert len(CheXpert(release).samples()) == 4


def test_legacy_split_of_a_small_release(tmp_path: Path) -> None:
    rows = [HEADER]
    for n in range(400):
        label = COMPETITION[n % 5]
        values = ",".join("1.0" if name == label and n % 2 else "" for name in LABELS)
        rows.append(
            f"CheXpert-v1.0/train/patient{n:05d}/study1/view1_frontal.jpg,Male,50,Frontal,AP,{values}"
        )
    (tmp_path / TRAIN).write_text("\n".join(rows))
    (tmp_path / VALID).write_text(FILES[VALID])
    split = legacy_split("chexpert_positions", CheXpert(tmp_path))
    # 5 classes with 40 sole positives each give 4; 400/223,414 of 5,000 are 9 for validation.
    assert len(split.valid) == 9
    assert 400 - 20 - 9 <= len(split.train) <= 400 - 20
    assert split.test == ("valid/patient64541/study1/view1_frontal",)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            TRAIN,
            "Edema",
            "Oedema",
            r"train\.csv:1: Edema: column is missing from the header, did you mean 'Oedema'",
        ),
        (TRAIN, "Sex,", "Gender,", r"train\.csv:1: Sex: column is missing"),
        (VALID, "Path,", "Image,", r"valid\.csv:1: Path: column is missing"),
        (TRAIN, f"{ONE},", f"{HEADER}\n{ONE},", r"train\.csv:4: Path: a header row among"),
        (TRAIN, ONE, TWO, r"train\.csv:4: Path: duplicate id .* first on row 2"),
        (TRAIN, ONE, "", r"train\.csv:4: Path: is empty"),
        (
            TRAIN,
            ONE,
            "CheXpert-v1.0/train/00001/view1.jpg",
            r"train\.csv:4: Path: .* does not look like train/pat",
        ),
        (TRAIN, ONE, ONE.replace("train", "valid"), r"train\.csv:4: Path: .* does not look like train/"),
        (TRAIN, "Unknown", "Other", r"train\.csv:4: Sex: unknown value 'Other'"),
        (TRAIN, ",0,Frontal", ",-4,Frontal", r"train\.csv:4: Age: age -4 is negative"),
        (TRAIN, ",0,Frontal", ",old,Frontal", r"train\.csv:4: Age: 'old' is not a number"),
        (
            TRAIN,
            "Lateral,,",
            "Front,,",
            r"train\.csv:3: Frontal/Lateral: unknown value 'Front', did you mean",
        ),
        (
            TRAIN,
            "Lateral,,",
            "Frontal,,",
            r"train\.csv:3: Frontal/Lateral: Frontal contradicts the file name",
        ),
        (
            TRAIN,
            "-1.0,1.0",
            "-2.0,1.0",
            r"train\.csv:2: Cardiomegaly: unknown label value '-2\.0', allowed: 1, 0",
        ),
        (TRAIN, "-1.0,1.0", "yes,1.0", r"train\.csv:2: Cardiomegaly: unknown label value 'yes'"),
        (TRAIN, "Unknown", "Unkn\udce9wn", r"train\.csv:4: Sex: byte 0xe9"),
        (TRAIN, None, None, r"train\.csv: table not found"),
        (VALID, None, None, r"valid\.csv: table not found"),
        (TRUTH, "Study,", "Path,", r"groundtruth\.csv:1: Study: column is missing"),
        (TRUTH, "Edema", "Oedema", r"groundtruth\.csv:1: Edema: column is missing"),
        (
            TRUTH,
            ",1.0\n",
            ",-1.0\n",
            r"groundtruth\.csv:2: Pleural Effusion: unknown label value '-1\.0', allowed",
        ),
        (TRUTH, ",1.0\n", ",\n", r"groundtruth\.csv:2: Pleural Effusion: unknown label value ''"),
        (TRUTH, "/study1", "/1", r"groundtruth\.csv:2: Study: .* does not look like test/"),
        (TRUTH, "64741", "64742", r"groundtruth\.csv:2: Study: no image in test/patient64742/study1"),
        (IMAGES[0], None, None, r"train\.csv:4: Path: no image train/patient00001/study1/view1_frontal\.jpg"),
        (
            "train/patient00001/study1/view2_lateral.jpg",
            "",
            "x",
            r"view2_lateral\.jpg: image without a row in train",
        ),
        ("test/patient64741/study1/scan.jpg", "", "x", r"study1/scan\.jpg: file name does not look like"),
        ("test/patient64741/study2.jpg", "", "x", r"study2\.jpg: image without a row in groundtruth"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        CheXpert(release).samples()
    assert "\n" not in str(caught.value)
