"""Raw layouts: each is read by the reader of the real data, and has the real data's traps."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.data.source import Source
from g2d_bench.errors import InputError
from g2d_bench.phantom import PROFILES, ensure, generate
from g2d_bench.phantom.ensure import ABANDONED, CHUNK
from g2d_bench.phantom.writers import WRITERS, cxr14, writer_of
from g2d_bench.phantom.writers.object_cxr import outline
from g2d_bench.phantom.writers.rsna import opacity_boxes
from g2d_bench.phantom.writers.siim import encode_relative, split_mask
from g2d_bench.readers.base import PHANTOM_MARKER, Sample
from g2d_bench.readers.registry import dataset_class, dataset_names
from g2d_bench.readers.rle import decode_relative

SIZE = 64
COUNTS = {"siim": 40, "rsna": 36, "cxr14": 60, "covid-cxr": 36, "object-cxr": 36}
Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantom")


@pytest.fixture
def make(root: Path) -> Make:
    """Make a small data set once."""
    return lambda name: ensure(name, root=root, count=COUNTS.get(name, 24), size=SIZE, workers=1)


def read(folder: Path) -> list[Sample]:
    return dataset_class(folder.name)(folder).samples()


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def hidden(root: Path) -> set[str]:
    """What unfinished work left, lock files excepted."""
    return {path.name for path in root.glob(".*") if path.suffix != ".lock"}


def rows(path: Path) -> list[list[str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.reader(text.splitlines()))


def test_there_is_a_writer_for_every_data_set() -> None:
    assert set(WRITERS) == set(dataset_names()) == set(PROFILES)
    with pytest.raises(InputError, match="'siim'"):
        writer_of("siimm")


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_reader_reads_it(name: str, make: Make) -> None:
    folder = make(name)
    dataset = dataset_class(name)(folder)
    samples = dataset.samples()
    assert dataset.kind == "phantom"
    assert len(samples) == COUNTS.get(name, 24) or (name == "ms-cxr" and 10 < len(samples) <= 24)
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        image = dataset.read_image(sample)
        assert image.shape == (SIZE, SIZE)
        assert image.std() > 20
        for box in sample.boxes:
            assert 0 <= box.x < box.x + box.w <= SIZE
            assert 0 <= box.y < box.y + box.h <= SIZE


@pytest.mark.parametrize("name", ["siim", "cxr14"])
def test_bytes_do_not_depend_on_processes_or_place(name: str, make: Make, tmp_path: Path) -> None:
    first = make(name)
    assert COUNTS[name] > CHUNK
    second = ensure(name, root=tmp_path / "else", count=COUNTS[name], size=SIZE, workers=2)
    assert contents(first) == contents(second)


def test_marker_and_second_call(make: Make, root: Path) -> None:
    folder = make("siim")
    marker = json.loads((folder / PHANTOM_MARKER).read_text())
    generator, files = marker.pop("generator"), marker.pop("files")
    assert len(generator) == len(marker.pop("check")) == 64
    assert sorted(files) == sorted(contents(folder).keys() - {PHANTOM_MARKER})
    assert marker == {"dataset": "siim", "seed": 0, "count": COUNTS["siim"], "size": SIZE}
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert make("siim") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not hidden(root)


def test_other_parameters_make_it_anew(tmp_path: Path) -> None:
    first = contents(ensure("cxr14", root=tmp_path, count=3, size=SIZE, workers=1))
    second = contents(ensure("cxr14", root=tmp_path, count=3, size=SIZE, seed=1, workers=1))
    assert first != second
    assert len([name for name in second if name.endswith(".png")]) == 3
    assert not hidden(tmp_path)


def test_another_generator_makes_it_anew_and_the_same_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(root=None, phantom=tmp_path)
    monkeypatch.setattr(cxr14, "COUNT", 3)
    monkeypatch.setattr(cxr14, "SIZE", SIZE)
    assert source.state("cxr14") == "no"
    folder = ensure("cxr14", root=tmp_path, workers=1)
    before, marker = contents(folder), (folder / PHANTOM_MARKER).read_text()
    (folder / "left.txt").write_text("of the earlier drawing")
    ensure("cxr14", root=tmp_path, workers=1)
    assert (folder / "left.txt").is_file()
    assert source.state("cxr14") == "phantom"
    monkeypatch.setattr(sys.modules[ensure.__module__], "digest_package", lambda folder: "edited")
    # What would be made anew is not there, and to ask makes nothing.
    assert source.state("cxr14") == "no"
    assert (folder / "left.txt").is_file()
    ensure("cxr14", root=tmp_path, workers=1)
    assert source.state("cxr14") == "phantom"
    assert not (folder / "left.txt").exists()
    assert marker != (folder / PHANTOM_MARKER).read_text()
    after = contents(folder)
    assert {k: v for k, v in after.items() if k != PHANTOM_MARKER} == {
        k: v for k, v in before.items() if k != PHANTOM_MARKER
    }


def test_prefix_of_a_larger_set_is_the_smaller_set(make: Make, tmp_path: Path) -> None:
    large, small = make("cxr14"), ensure("cxr14", root=tmp_path, count=12, size=SIZE, workers=1)
    images = {name: value for name, value in contents(small).items() if name.startswith("images/")}
    assert images.items() <= contents(large).items()


def test_one_generates_and_the_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = sys.modules[ensure.__module__]
    started, go, make = threading.Event(), threading.Event(), module._make

    def slowly(*arguments: object) -> None:
        assert not started.is_set(), "made twice"
        started.set()
        assert go.wait(60)
        make(*arguments)

    monkeypatch.setattr(module, "_make", slowly)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(ensure, "cxr14", root=tmp_path, count=2, size=SIZE, workers=1)]
        assert started.wait(60)
        calls.append(pool.submit(ensure, "cxr14", root=tmp_path, count=2, size=SIZE, workers=1))
        said = ""
        while "another process generates it, waiting" not in said:
            time.sleep(0.01)
            said += capsys.readouterr().err
        go.set()
        assert [call.result() for call in calls] == [tmp_path / "cxr14"] * 2
    assert len(read(tmp_path / "cxr14")) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "siim").mkdir()
    (tmp_path / "siim" / "train-rle.csv").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        ensure("siim", root=tmp_path, count=2, size=SIZE, workers=1)
    assert (tmp_path / "siim" / "train-rle.csv").read_text() == "mine"


def test_what_a_killed_run_left_is_swept_and_living_work_is_not(tmp_path: Path) -> None:
    old, living, other = (tmp_path / name for name in (".cxr14-aaaa", ".cxr14-bbbb", ".cxr14-x"))
    past = time.time() - 2 * ABANDONED
    for folder in (old, living):
        (folder / "images").mkdir(parents=True)
        (folder / "images" / "a.png").touch()
        for place in (folder / "images" / "a.png", folder / "images", folder):
            os.utime(place, (past, past))
    (living / "images" / "b.png").touch()  # Only the folder deep inside has changed.
    other.touch()
    unrelated = tmp_path / ".siim-aaaa"
    unrelated.mkdir()
    os.utime(unrelated, (past, past))
    for _ in range(2):
        ensure("cxr14", root=tmp_path, count=2, size=SIZE, workers=1)
        assert (tmp_path / "cxr14").is_dir()
        assert hidden(tmp_path) == {living.name, other.name, unrelated.name}


def test_nothing_is_left_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, items: object, seed: int) -> None:
        raise RuntimeError("disc full")

    monkeypatch.setattr(writer_of("siim"), "write_tables", fail)
    with pytest.raises(RuntimeError, match="disc full"):
        ensure("siim", root=tmp_path, count=2, size=SIZE, workers=1)
    assert not hidden(tmp_path)
    assert not (tmp_path / "siim").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"count": -1}, "count"), ({"size": 32}, "size"), ({"size": 5000}, "size")],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, int], word: str) -> None:
    with pytest.raises(InputError, match=word):
        ensure("siim", root=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        ensure("siim", root=tmp_path / "file", count=2, size=SIZE)


def test_siim_layout(make: Make) -> None:
    import pydicom

    folder = make("siim")
    lines = (folder / "train-rle.csv").read_text().splitlines()
    assert lines[0] == "ImageId, EncodedPixels"
    table = [line.split(",", 1) for line in lines[1:]]
    assert {text for _, text in table if not text[0].isdigit()} == {"-1"}
    files = sorted(folder.rglob("*.dcm"))
    assert len(files) == COUNTS["siim"]
    assert {path.stem for path in files} == {image for image, _ in table}
    for path in files:
        parts = path.relative_to(folder).parts
        assert parts[0] == "dicom-images-train"
        assert len(parts) == 4
        header = pydicom.dcmread(path)
        assert header.SOPInstanceUID == path.stem
        assert str(header.SOPInstanceUID).startswith("1.2.276.0.7230010.3.1.4.8323329.")
        assert (header.StudyInstanceUID, header.SeriesInstanceUID) == parts[1:3]
        assert header.Manufacturer == "g2d-bench phantom"
        assert header.PhotometricInterpretation == "MONOCHROME2"
        assert header.ViewPosition in ("PA", "AP")
    compressed = {pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed for path in files}
    assert compressed == {True, False}


def test_siim_masks_are_those_drawn(make: Make) -> None:
    folder = make("siim")
    dataset = dataset_class("siim")(folder)
    by_patient = {sample.patient: sample for sample in dataset.samples()}
    positives = 0
    for index in range(COUNTS["siim"]):
        picture = generate("siim", index, seed=0, size=SIZE, profile=PROFILES["siim"])
        sample = by_patient[picture.scene.patient.uid]
        mask = dataset.read_mask(sample, (SIZE, SIZE), "Pneumothorax")
        expected = picture.masks.get("Pneumothorax", np.zeros_like(mask))
        assert np.array_equal(mask, expected)
        positives += bool(mask.any())
        if not sample.path.read_bytes().count(b"\xff\xd8\xff"):
            assert np.array_equal(dataset.read_image(sample), picture.image)
    assert positives


def test_relative_run_lengths_survive_a_round_trip() -> None:
    rng = np.random.default_rng(0)
    for shape in ((5, 9), (16, 16), (1, 7)):
        for share in (0.0, 0.3, 1.0):
            mask = rng.random(shape) < share
            assert np.array_equal(decode_relative(encode_relative(mask), shape, "here"), mask)


def test_masks_split_into_parts() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[5:30, 3:9] = True
    mask[10:20, 20:30] = True
    mask[35, 35] = True
    for pieces in (1, 2, 3, 5):
        parts = split_mask(mask, pieces)
        assert len(parts) == pieces
        assert np.array_equal(np.sum(parts, 0), mask.astype(int))
        assert all(part.any() for part in parts)
    dot = np.zeros((4, 4), np.bool_)
    dot[1, 1] = True
    assert len(split_mask(dot, 3)) == 1


def test_mimic_layout(make: Make) -> None:
    folder = make("mimic-cxr")
    metadata = rows(folder / "mimic-cxr-2.0.0-metadata.csv.gz")
    wanted = "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns"
    assert ",".join(metadata[0][:7]) == wanted
    assert rows(folder / "mimic-cxr-2.0.0-split.csv.gz")[0] == ["dicom_id", "study_id", "subject_id", "split"]
    labels = rows(folder / "mimic-cxr-2.0.0-chexpert.csv.gz")
    assert labels[0][:4] == ["subject_id", "study_id", "Atelectasis", "Cardiomegaly"]
    assert {cell for row in labels[1:] for cell in row[2:]} <= {"1.0", "0.0", "-1.0", ""}
    sectioned = rows(folder / "mimic_cxr_sectioned.csv")
    assert sectioned[0] == ["study", "impression", "findings", "last_paragraph", "comparison"]
    assert all(row[0].startswith("s5") for row in sectioned[1:])
    for dicom, subject, study, *_ in metadata[1:]:
        assert len(subject) == len(study) == 8
        place = folder / "files" / f"p{subject[:2]}" / f"p{subject}"
        assert (place / f"s{study}" / f"{dicom}.jpg").is_file()
        assert (place / f"s{study}.txt").is_file()


def test_mimic_reports_are_read_alike_from_table_and_files(make: Make, tmp_path: Path) -> None:
    from g2d_bench.readers.reports import sentences

    folder = make("mimic-cxr")
    copy = tmp_path / "mimic-cxr"
    shutil.copytree(folder, copy)
    (copy / "mimic_cxr_sectioned.csv").unlink()
    for one, other in zip(read(folder), read(copy), strict=True):
        assert one.report
        assert sentences(one.report) == sentences(other.report)


def test_rsna_layout(make: Make) -> None:
    import pydicom

    folder = make("rsna")
    table = rows(folder / "stage_2_train_labels.csv")
    assert table[0] == ["patientId", "x", "y", "width", "height", "Target"]
    positive = [row for row in table[1:] if row[5] == "1"]
    assert positive
    assert all(cell.endswith(".0") for row in positive for cell in row[1:5])
    assert all(row[1:5] == [""] * 4 for row in table[1:] if row[5] == "0")
    classes = rows(folder / "stage_2_detailed_class_info.csv")
    assert sorted(row[0] for row in classes[1:]) == sorted(row[0] for row in table[1:])
    assert {row[1] for row in classes[1:]} == {"Normal", "Lung Opacity", "No Lung Opacity / Not Normal"}
    header = pydicom.dcmread(next((folder / "stage_2_train_images").iterdir()))
    assert header.file_meta.TransferSyntaxUID.name.startswith("JPEG Baseline")


def test_boxes_of_patches() -> None:
    mask = np.zeros((100, 100), np.bool_)
    assert opacity_boxes(mask) == []
    mask[1, 1] = True
    assert opacity_boxes(mask) == [(1, 1, 1, 1)]
    mask[40:60, 10:30] = mask[40:50, 70:80] = True
    assert opacity_boxes(mask) == [(10, 40, 20, 20), (70, 40, 10, 10)]


def test_object_cxr_layout(make: Make) -> None:
    folder = make("object-cxr")
    cells = [row[1] for part in ("train", "dev") for row in rows(folder / f"{part}.csv")[1:]]
    assert rows(folder / "train.csv")[0] == ["image_name", "annotation"]
    assert "" in cells
    shapes = [shape.split() for cell in cells if cell for shape in cell.split(";")]
    assert {shape[0] for shape in shapes} == {"0", "1", "2"}
    corners = [list(map(int, shape[1:])) for shape in shapes if shape[0] != "2"]
    assert any(x1 > x2 or y1 > y2 for x1, y1, x2, y2 in corners)
    assert all(len(shape) >= 7 for shape in shapes if shape[0] == "2")


def test_outline_encloses() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[10:20, 5:25] = True
    points = outline(mask)
    assert {(5, 10), (24, 10), (24, 19), (5, 19)} <= set(points)
    assert len(outline(mask[:1] | True)) >= 2


def test_chexpert_layout(make: Make) -> None:
    base = make("chexpert") / "CheXpert-v1.0-small"
    train, valid, test = (rows(base / f"{name}.csv") for name in ("train", "valid", "groundtruth"))
    assert train[0][:6] == ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding"]
    assert train[1][0].startswith("CheXpert-v1.0-small/train/patient")
    assert {cell for row in train[1:] for cell in row[5:]} <= {"1.0", "0.0", "-1.0", ""}
    assert {row[5] for row in train[1:]} <= {"1.0", ""}
    assert {cell for row in valid[1:] for cell in row[5:]} <= {"1.0", "0.0"}
    assert test[0][0] == "Study"
    assert all("/test/patient" in row[0] and "view" not in row[0] for row in test[1:])
    parts = [
        {sample.patient for sample in read(base.parent) if sample.split == part}
        for part in ("train", "valid", "test")
    ]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]


def test_cxr14_layout(make: Make) -> None:
    folder = make("cxr14")
    header = (folder / "Data_Entry_2017_v2020.csv").read_text().splitlines()[0]
    assert header.endswith("View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]")
    assert (folder / "BBox_List_2017.csv").read_text().splitlines()[
        0
    ] == "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    samples = read(folder)
    assert all(sample.split == "test" for sample in samples if sample.boxes)
    assert any(sample.boxes for sample in samples)
    assert {sample.split for sample in samples} == {"train", "test"}
    patients = [
        {sample.patient for sample in samples if sample.split == split} for split in ("train", "test")
    ]
    assert not patients[0] & patients[1]


def test_covidx_layout(make: Make) -> None:
    folder = make("covidx")
    lines = [
        line.split(" ")
        for part in ("train", "test")
        for line in (folder / f"{part}_COVIDx9A.txt").read_text().splitlines()
    ]
    assert all(len(line) == 4 for line in lines)
    assert {line[2] for line in lines} == {"normal", "pneumonia", "COVID-19"}
    samples = read(folder)
    patients = [
        {sample.patient for sample in samples if sample.split == split} for split in ("train", "test")
    ]
    assert all(patients)
    assert not patients[0] & patients[1]


def test_ms_cxr_layout(make: Make) -> None:
    folder = make("ms-cxr")
    table = rows(folder / "MS_CXR_Local_Alignment_v1.1.0.csv")
    assert (
        ",".join(table[0]) == "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"
    )
    by_csv = read(folder)
    assert all(sample.phrases for sample in by_csv)
    (folder / "MS_CXR_Local_Alignment_v1.1.0.csv").rename(folder / "kept.csv")
    try:
        by_json = read(folder)
    finally:
        (folder / "kept.csv").rename(folder / "MS_CXR_Local_Alignment_v1.1.0.csv")
    phrases = [
        {(sample.id, phrase.text, phrase.boxes) for sample in part for phrase in sample.phrases}
        for part in (by_csv, by_json)
    ]
    assert {(i, t) for i, t, _ in phrases[0]} == {(i, t) for i, t, _ in phrases[1]}


def test_covid_cxr_layout(make: Make) -> None:
    folder = make("covid-cxr")
    table = rows(folder / "metadata.csv")
    assert table[0][-1] == "Unnamed: 28"
    assert len(table) > COUNTS["covid-cxr"] + 1  # there are rows of CT volumes
    dataset = dataset_class("covid-cxr")(folder)
    samples = dataset.samples()
    masked = [sample for sample in samples if sample.annotation]
    assert 0 < len(masked) < len(samples)
    mask = dataset.read_mask(masked[0], (SIZE, SIZE), "Lung")
    assert 0.1 < mask.mean() < 0.5
    boxed = [sample for sample in samples if sample.boxes]
    assert boxed
    assert {box.label for box in boxed[0].boxes} == {"Right Lung", "Left Lung"}
    sides = {box.label: box.x for box in boxed[0].boxes}
    assert sides["Right Lung"] < sides["Left Lung"]
    assert all(sample.report for sample in samples)


def test_phantom_pretraining_shares_no_patient_with_tasks(make: Make) -> None:
    pretraining = {sample.patient for sample in read(make("mimic-cxr"))}
    for name in sorted(set(WRITERS) - {"mimic-cxr"}):
        assert not pretraining & {sample.patient for sample in read(make(name))}, name
