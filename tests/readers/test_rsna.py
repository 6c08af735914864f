"""RSNA reader: counts of the real table, a small release, and every field that can be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.rsna import LABEL, SIDE, Rsna, filled_boxes, read_labels

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
FILES = {
    LABELS: (
        "patientId,x,y,width,height,Target\n"
        "p1,,,,,0\n"
        "p2,264.0,152.0,213.0,379.0,1\n"
        "p2,562.0,152.0,256.0,453.0,1\n"
        "p0,,,,,0\n"
    ),
    CLASSES: (
        "patientId,class\np1,No Lung Opacity / Not Normal\np2,Lung Opacity\np2,Lung Opacity\np0,Normal\n"
    ),
    "stage_2_train_images/p0.dcm": "x",
    "stage_2_train_images/p1.dcm": "x",
    "stage_2_train_images/p2.dcm": "x",
    "stage_2_test_images/unlabelled.dcm": "x",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_small_release(release: Path) -> None:
    samples = Rsna(release).samples()
    assert [s.id for s in samples] == ["p0", "p1", "p2"]
    assert [s.labels[LABEL] for s in samples] == [0, 0, 1]
    assert samples[2].boxes == (Box(LABEL, 264, 152, 213, 379), Box(LABEL, 562, 152, 256, 453))
    assert samples[1].meta["class"] == "No Lung Opacity / Not Normal"
    assert samples[0].path == release / "stage_2_train_images/p0.dcm"
    assert Rsna(release).kind == "real"


def test_headers_say_who_and_how(release: Path, write_dicom: Callable[..., Path]) -> None:
    """What a header does not say, or a file that is none, adds nothing and stops nobody."""
    pixels = np.zeros((8, 8), np.uint8)
    folder = release / "stage_2_train_images"
    write_dicom(folder / "p1.dcm", pixels, PatientSex="F", PatientAge="045Y", ViewPosition="AP")
    write_dicom(folder / "p2.dcm", pixels, Manufacturer="ACME", ManufacturerModelName="X 1")
    metas = [sample.meta for sample in Rsna(release).samples()]
    assert [{k: v for k, v in meta.items() if k not in ("row", "class")} for meta in metas] == [
        {}, {"sex": "F", "age": "45", "view": "AP"}, {"device": "ACME X 1"},
    ]  # fmt: skip


def test_class_table_is_optional(release: Path) -> None:
    (release / CLASSES).unlink()
    assert "class" not in Rsna(release).samples()[0].meta


def test_masks_are_filled_boxes(release: Path) -> None:
    sample = Rsna(release).samples()[2]
    mask = Rsna(release).read_mask(sample, (SIDE, SIDE), LABEL)
    slow = np.zeros((SIDE, SIDE), dtype=bool)
    for box in sample.boxes:
        for y in range(int(box.y), int(box.y + box.h)):
            for x in range(int(box.x), int(box.x + box.w)):
                slow[y, x] = True
    assert (mask == slow).all()
    assert not filled_boxes(sample.boxes, (SIDE, SIDE), "Other").any()
    assert not Rsna(release).read_mask(replace(sample, boxes=()), (8, 8), LABEL).any()
    with pytest.raises(InputError, match="no masks of 'Lung'; it has 'Pneumonia'"):
        Rsna(release).read_mask(sample, (SIDE, SIDE), "Lung")
    with pytest.raises(InputError, match="outside the image 800x900"):
        Rsna(release).read_mask(sample, (900, 800), LABEL)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (LABELS, "Target", "target", r"labels\.csv:1: Target: column is missing"),
        (
            LABELS,
            "p1,,,,,0",
            "patientId,x,y,width,height,Target",
            r"labels\.csv:2: patientId: a header row among",
        ),
        (LABELS, "p1,", ",", r"labels\.csv:2: patientId: is empty"),
        (LABELS, "p0,,,,,0", "p1,,,,,0", r"labels\.csv:5: patientId: duplicate id 'p1', first on row 2"),
        (LABELS, "p0,,,,,0", "p0,,,,,2", r"labels\.csv:5: Target: unknown value '2'"),
        (LABELS, "p0,,,,,0", "p0,,,,", r"labels\.csv:5: Target: unknown value ''"),
        (LABELS, "p0,,,,,0", "p0,3,,,,0", r"labels\.csv:5: x: has a value though Target is 0"),
        (LABELS, "p0,,,,,0", "p0,,,,,1", r"labels\.csv:5: x: is empty, a number is needed"),
        (LABELS, "p0,,,,,0", "p2,,,,,0", r"labels\.csv:5: patientId: duplicate id 'p2'"),
        (LABELS, "p2,562", "p1,562", r"labels\.csv:4: Target: patient 'p1' has Target 0 on row 2"),
        (LABELS, "562.0", "left", r"labels\.csv:4: x: 'left' is not a number"),
        (LABELS, "562.0", "900.0", r"labels\.csv:4: x: box from 900 to 1156 lies outside"),
        (LABELS, "562.0", "-1", r"labels\.csv:4: x: box from -1"),
        (LABELS, "562.0,152.0", "562.0,800", r"labels\.csv:4: y: box from 800 to 1253"),
        (LABELS, "213.0", "-213.0", r"labels\.csv:3: width: box of size -213"),
        (LABELS, "379.0", "0", r"labels\.csv:3: height: box of size 0"),
        (LABELS, "562.0,152.0,256.0,453.0", "264.0,152.0,213.0,379.0", r"labels\.csv:4: x: duplicate box"),
        (LABELS, "p0", "p\udce9", r"labels\.csv:5: patientId: byte 0xe9"),
        (LABELS, None, None, r"labels\.csv: table not found"),
        (CLASSES, "class", "klass", r"info\.csv:1: class: column is missing"),
        (
            CLASSES,
            "p0,Normal",
            "p0,Normall",
            r"info\.csv:5: class: unknown value 'Normall', did you mean 'Normal'",
        ),
        (
            CLASSES,
            "p2,Lung Opacity\np2,Lung",
            "p2,Normal\np2,Lung",
            r"info\.csv:4: class: patient 'p2' is 'Normal'|'p2' is 'Normal' on row 3",
        ),
        (CLASSES, "p0,Normal", "p0,Lung Opacity", r"info\.csv:5: class: 'Lung Opacity' contradicts Target"),
        (
            CLASSES,
            "p0,Normal",
            "p7,Normal",
            r"info\.csv:5: patientId: patient 'p7' is not in stage_2_train_labels",
        ),
        (CLASSES, "p0,Normal\n", "", r"labels\.csv:5: patientId: patient 'p0' is not in stage_2_detailed"),
        ("stage_2_train_images/p1.dcm", None, None, r"labels\.csv:2: patientId: no image .*p1\.dcm"),
        ("stage_2_train_images/p9.dcm", "", "x", r"p9\.dcm: image without a row in stage_2_train_labels"),
        ("stage_2_train_images/p1.png", "", "x", r"p1\.png: a second file for the same image"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        Rsna(release).samples()
    assert "\n" not in str(caught.value)


def test_real_counts(real_pack: Path) -> None:
    folder = real_pack / "annotations/rsna"
    patients = read_labels(folder / f"{LABELS}.zip")
    counts = Counter(len(boxes) for _, boxes in patients.values())
    assert len(patients) == 26684
    assert counts == {0: 20672, 1: 2614, 2: 3266, 3: 119, 4: 13}
    assert sum(number * count for number, count in counts.items()) == 9555
    assert sum(counts.values()) - counts[0] == 6012
    assert sum(max(1, number) * count for number, count in counts.items()) == 30227
    boxes = [box for _, group in patients.values() for box in group]
    assert all(value == int(value) for box in boxes for value in (box.x, box.y, box.w, box.h))
    samples = Rsna(folder).table_samples()
    assert sum(sample.labels[LABEL] for sample in samples) == 6012
