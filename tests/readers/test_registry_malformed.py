"""One table of bad releases: every reader, every defect, one line with file and place, exit code 2.

The releases are generated ones in the layout of the real. What the table lacks, :data:`CANNOT` explains. The
finer cases of each field stand in the readers' own tests.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from g2d_bench.cli.main import main
from g2d_bench.phantom import ensure
from g2d_bench.readers.base import PHANTOM_MARKER
from g2d_bench.readers.registry import dataset_names

DEFECTS = (
    *("missing column", "extra header", "box outside the image", "negative size", "unknown label"),
    *("duplicate id", "id without image", "image without id", "mixed encodings", "absent table"),
    "absent split file",
)
READERS = (*dataset_names(), "chexpert-test")
"""The data sets; CheXpert's test set has tables of its own."""

Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One way to spoil a release, and the complaint (a regular expression)."""

    reader: str
    defect: str
    spoil: Spoil
    message: str


# Spoilers: each edits one file of a release -----------------------------------------------------------------


def _read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogateescape")


def _write(path: Path, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def header(name: str, old: str, new: str) -> Spoil:
    """Rename a column."""

    def spoil(root: Path) -> None:
        first, rest = _read(root / name).split("\n", 1)
        assert old in first
        _write(root / name, f"{first.replace(old, new, 1)}\n{rest}")

    return spoil


def header_again(name: str, row: int = 3) -> Spoil:
    """Repeat the header as a row, as tables do that were glued together."""

    def spoil(root: Path) -> None:
        lines = _read(root / name).split("\n")
        lines.insert(row - 1, lines[0])
        _write(root / name, "\n".join(lines))

    return spoil


def cell(
    name: str, column: int, value: str | Callable[[str], str], where: str = "", delimiter: str = ","
) -> Spoil:
    """Change a cell of the first row (after the header) that matches a regular expression."""

    def spoil(root: Path) -> None:
        rows = list(csv.reader(io.StringIO(_read(root / name)), delimiter=delimiter))
        row = next(r for r in rows[delimiter == "," :] if re.search(where, delimiter.join(r)))
        row[column] = value(row[column]) if callable(value) else value
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
        _write(root / name, text.getvalue())

    return spoil


def row_again(name: str, row: int = 2, place: int = -1) -> Spoil:
    """Repeat a row at the end (or elsewhere)."""

    def spoil(root: Path) -> None:
        lines = _read(root / name).rstrip("\n").split("\n")
        lines.insert(len(lines) if place < 0 else place, lines[row - 1])
        _write(root / name, "\n".join(lines) + "\n")

    return spoil


def latin(name: str, row: int = 2) -> Spoil:
    """End the first cell of a row with an e-acute of another encoding."""

    def spoil(root: Path) -> None:
        lines = _read(root / name).split("\n")
        lines[row - 1] = re.sub(r"^([^, ]+)", "\\1\udce9", lines[row - 1])
        _write(root / name, "\n".join(lines))

    return spoil


def gone(pattern: str) -> Spoil:
    """Remove the first file of a pattern."""
    return lambda root: sorted(root.glob(pattern))[0].unlink()


def all_gone(pattern: str) -> Spoil:
    """Remove all files of a pattern."""

    def spoil(root: Path) -> None:
        for path in root.glob(pattern):
            path.unlink()

    return spoil


def added(pattern: str, name: str) -> Spoil:
    """Copy the first file of a pattern to another name beside it."""

    def spoil(root: Path) -> None:
        first = sorted(root.glob(pattern))[0]
        shutil.copy(first, first.with_name(name))

    return spoil


def coco(change: Callable[[dict[str, list[dict[str, object]]]], object]) -> Spoil:
    """Change the COCO file of covid-cxr."""

    def spoil(root: Path) -> None:
        path = root / LUNG_BOXES
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


def entry(change: Callable[[dict[str, Any]], object], *, twice: bool = False) -> Spoil:
    """Change the first entry of ChestX-Det10's training list that has a box, or add what it becomes."""

    def spoil(root: Path) -> None:
        path = root / "train.json"
        content = json.loads(path.read_text())
        first = next(one for one in content if one["boxes"])
        if twice:
            content.append(first := dict(first))
        change(first)
        path.write_text(json.dumps(content))

    return spoil


def byte(pattern: str) -> Spoil:
    """Put an e-acute of another encoding into the first file of a pattern."""

    def spoil(root: Path) -> None:
        path = sorted(root.glob(pattern))[0]
        path.write_bytes(path.read_bytes()[:5] + b"\xe9" + path.read_bytes()[5:])

    return spoil


def reading(old: str, new: str) -> Spoil:
    """Change the first reading of Montgomery."""

    def spoil(root: Path) -> None:
        path = sorted(root.glob("ClinicalReadings/*.txt"))[0]
        path.write_text(path.read_text().replace(old, new, 1))

    return spoil


def film_again(pattern: str = "CXR_png/*.png") -> Spoil:
    """Store the first film a second time, in another format by its name."""

    def spoil(root: Path) -> None:
        first = sorted(root.glob(pattern))[0]
        shutil.copy(first, first.with_suffix(".jpg" if first.suffix == ".png" else ".png"))

    return spoil


def no_folder(name: str) -> Spoil:
    """Remove a whole folder."""
    return lambda root: shutil.rmtree(root / name)


RLE = "train-rle.csv"
BOXES, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
CXR14, CXR14_BOXES = "Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"
FOLDER = "CheXpert-v1.0-small"
TRAIN, VALID, TRUTH = (f"{FOLDER}/{name}.csv" for name in ("train", "valid", "groundtruth"))
COVIDX, COVIDX_TEST = "train_COVIDx9A.txt", "test_COVIDx9A.txt"
META, SPLIT, LABELS = (f"mimic-cxr-2.0.0-{name}.csv.gz" for name in ("metadata", "split", "chexpert"))
MS = "MS_CXR_Local_Alignment_v1.1.0.csv"
VIEWS, FILMS = "indiana_projections.csv", "films.csv"
LUNGS = "metadata.csv"
LUNG_BOXES = "annotations/imageannotation_ai_lung_bounding_boxes.json"

CASES = [
    Case("siim", "missing column", header(RLE, "EncodedPixels", "Pixels"), r"rle\.csv:1: EncodedPixels: col"),
    Case("siim", "extra header", header_again(RLE), r"rle\.csv:3: ImageId: a header row among the data"),
    Case(
        "siim", "box outside the image", cell(RLE, 1, "4090 9", r"\d \d"), r"rle\.csv:\d+: Enc.*reach pixel"
    ),
    Case("siim", "negative size", cell(RLE, 1, "5 -3", r"\d \d"), r"rle\.csv:\d+: Enc.*'-3' is a negative"),
    Case("siim", "negative size", cell(RLE, 1, "5 0", r"\d \d"), r"rle\.csv:\d+: Enc.*run of no pixels"),
    Case("siim", "unknown label", cell(RLE, 1, "none"), r"rle\.csv:2: EncodedPixels: 'none' is not a whole"),
    Case("siim", "duplicate id", row_again(RLE), r"rle\.csv:\d+: EncodedPixels: repeats row 2"),
    Case("siim", "id without image", gone("*/*/*/*.dcm"), r"rle\.csv:\d+: ImageId: no DICOM file for image"),
    Case("siim", "mixed encodings", latin(RLE), r"rle\.csv:2: ImageId: byte 0xe9 is not utf-8"),
    Case("siim", "absent table", gone(RLE), r"rle\.csv: table not found"),
    Case("rsna", "missing column", header(BOXES, "Target", "Class"), r"labels\.csv:1: Target: column is mis"),
    Case(
        "rsna", "missing column", header(CLASSES, "class", "kind"), r"info\.csv:1: class: column is missing"
    ),
    Case("rsna", "extra header", header_again(BOXES), r"labels\.csv:3: patientId: a header row among"),
    Case("rsna", "box outside the image", cell(BOXES, 1, "1020", "1$"), r"labels\.csv:\d+: x: box from 1020"),
    Case("rsna", "negative size", cell(BOXES, 3, "-9", "1$"), r"labels\.csv:\d+: width: box of size -9"),
    Case("rsna", "unknown label", cell(BOXES, 5, "2"), r"labels\.csv:2: Target: unknown value '2'"),
    Case("rsna", "unknown label", cell(CLASSES, 1, "Norml"), r"info\.csv:2: class: .*did you mean 'Normal'"),
    Case("rsna", "duplicate id", row_again(BOXES), r"labels\.csv:\d+: patientId: duplicate id .*row 2"),
    Case("rsna", "id without image", gone("*images/*.dcm"), r"labels\.csv:2: patientId: no image stage_2"),
    Case(
        "rsna", "image without id", added("*images/*.dcm", "x.dcm"), r"x\.dcm: image without a row in stage"
    ),
    Case("rsna", "mixed encodings", latin(BOXES), r"labels\.csv:2: patientId: byte 0xe9 is not utf-8"),
    Case("rsna", "absent table", gone(BOXES), r"labels\.csv: table not found"),
    Case(
        "object-cxr", "missing column", header("dev.csv", "annotation", "a"), r"dev\.csv:1: annotation: col"
    ),
    Case("object-cxr", "extra header", header_again("train.csv"), r"train\.csv:3: image_name: a header row"),
    Case(
        *("object-cxr", "box outside the image", cell("dev.csv", 1, "0 1 2 99 9")),
        r"dev\.csv:2: annotation: box from 1 to 99 lies outside",
    ),
    Case(
        "object-cxr", "negative size", cell("dev.csv", 1, "0 1 2 1 9"), r"dev\.csv:2: annotation: box of siz"
    ),
    Case(
        "object-cxr", "unknown label", cell("dev.csv", 1, "3 1 2 3 4"), r"dev\.csv:2: annotation: unknown va"
    ),
    Case("object-cxr", "duplicate id", row_again("train.csv"), r"train\.csv:\d+: image_name: duplicate id"),
    Case("object-cxr", "id without image", gone("dev/*.jpg"), r"dev\.csv:2: image_name: no image dev/"),
    Case("object-cxr", "image without id", added("dev/*.jpg", "x.jpg"), r"dev/x\.jpg: image without a row"),
    Case(
        "object-cxr", "mixed encodings", latin("dev.csv"), r"dev\.csv:2: image_name: byte 0xe9 is not utf-8"
    ),
    Case("object-cxr", "absent table", gone("train.csv"), r"train\.csv: table not found"),
    Case("object-cxr", "absent split file", gone("dev.csv"), r"dev\.csv: table not found"),
    Case(
        "chexpert", "missing column", header(TRAIN, "Edema", "Oedema"), r"train\.csv:1: Edema: column is mis"
    ),
    Case("chexpert", "extra header", header_again(TRAIN), r"train\.csv:3: Path: a header row among"),
    Case("chexpert", "negative size", cell(TRAIN, 2, "-4"), r"train\.csv:2: Age: age -4 is negative"),
    Case(
        "chexpert", "unknown label", cell(TRAIN, 7, "2.0"), r"train\.csv:2: Cardiomegaly: unknown label valu"
    ),
    Case(
        "chexpert", "unknown label", cell(TRAIN, 3, "Back"), r"train\.csv:2: Frontal/Lateral: unknown value"
    ),
    Case("chexpert", "duplicate id", row_again(TRAIN), r"train\.csv:\d+: Path: duplicate id .* row 2"),
    Case("chexpert", "id without image", gone("*/train/*/*/*.jpg"), r"train\.csv:2: Path: no image train/"),
    Case(
        *("chexpert", "image without id", added("*/train/*/*/*.jpg", "view9_frontal.jpg")),
        r"view9_frontal\.jpg: image without a row in train\.csv",
    ),
    Case("chexpert", "mixed encodings", latin(VALID), r"valid\.csv:2: Path: byte 0xe9 is not utf-8"),
    Case("chexpert", "absent table", gone(TRAIN), r"train\.csv: table not found"),
    Case("chexpert", "absent split file", gone(VALID), r"valid\.csv: table not found"),
    Case(
        "chexpert-test", "missing column", header(TRUTH, "Study", "Path"), r"truth\.csv:1: Study: column is"
    ),
    Case("chexpert-test", "extra header", header_again(TRUTH), r"truth\.csv:3: Study: a header row among"),
    Case(
        "chexpert-test", "unknown label", cell(TRUTH, 3, "-1"), r"truth\.csv:2: Cardiomegaly: unknown label"
    ),
    Case("chexpert-test", "duplicate id", row_again(TRUTH), r"truth\.csv:\d+: Study: duplicate id .* row 2"),
    Case("chexpert-test", "id without image", gone("*/test/*/*/*.jpg"), r"truth\.csv:2: Study: no image in"),
    Case(
        *("chexpert-test", "image without id", added("*/test/*/*/*.jpg", "scan.jpg")),
        r"scan\.jpg: file name does not look like",
    ),
    Case("chexpert-test", "mixed encodings", latin(TRUTH), r"truth\.csv:2: Study: byte 0xe9 is not utf-8"),
    Case("chexpert-test", "absent table", gone(TRUTH), r"test/.*\.jpg: \d+ test images without labels"),
    Case("cxr14", "missing column", header(CXR14, "Patient ID", "ID"), r"2020\.csv:1: Patient ID: column is"),
    Case("cxr14", "missing column", header(CXR14_BOXES, "Bbox [x", "x"), r"2017\.csv:1: Bbox \[x: column is"),
    Case("cxr14", "extra header", header_again(CXR14), r"2020\.csv:3: Image Index: a header row among"),
    Case(
        "cxr14", "box outside the image", cell(CXR14_BOXES, 2, "1020"), r"2017\.csv:2: Bbox \[x: box from 102"
    ),
    Case("cxr14", "negative size", cell(CXR14_BOXES, 4, "-8"), r"2017\.csv:2: w: box of size -8"),
    Case(
        "cxr14", "negative size", cell(CXR14, 7, "-2500"), r"2020\.csv:2: OriginalImage\[Width: image size -"
    ),
    Case("cxr14", "negative size", cell(CXR14, 4, "-3"), r"2020\.csv:2: Patient Age: '-3' is no age"),
    Case("cxr14", "unknown label", cell(CXR14, 1, "Noduls"), r"2020\.csv:2: Finding Labels: .*mean 'Nodule'"),
    Case(
        "cxr14", "unknown label", cell(CXR14_BOXES, 1, "Bump"), r"2017\.csv:2: Finding Label: unknown value"
    ),
    Case("cxr14", "duplicate id", row_again(CXR14), r"2020\.csv:\d+: Image Index: duplicate id .* row 2"),
    Case("cxr14", "duplicate id", row_again(CXR14_BOXES), r"2017\.csv:\d+: Image Index: duplicate box"),
    Case(
        "cxr14", "duplicate id", row_again("test_list.txt"), r"test_list\.txt:\d+: Image Index: duplicate id"
    ),
    Case("cxr14", "id without image", gone("images/*.png"), r"2020\.csv:2: Image Index: no image"),
    Case("cxr14", "image without id", added("images/*.png", "x.png"), r"x\.png: image without a row in Data"),
    Case("cxr14", "mixed encodings", latin(CXR14), r"2020\.csv:2: Image Index: byte 0xe9 is not utf-8"),
    Case("cxr14", "absent table", gone(CXR14), r"2020\.csv: table not found"),
    Case("cxr14", "absent split file", gone("test_list.txt"), r"test_list\.txt: table not found"),
    Case("covidx", "extra header", lambda root: _glue(root / COVIDX), r"9A\.txt:1: patient_id: a header row"),
    Case(
        *("covidx", "missing column", lambda root: _cut(root / COVIDX)),
        r"9A\.txt:1: has 3 cells, 4 are needed \(patient_id, filename, class, source\)",
    ),
    Case(
        "covidx",
        "unknown label",
        cell(COVIDX, 2, "covid", "", " "),
        r"9A\.txt:1: class: unknown value 'covid",
    ),
    Case("covidx", "duplicate id", row_again(COVIDX), r"9A\.txt:\d+: filename: duplicate id .* row 2"),
    Case("covidx", "id without image", gone("test/*.png"), r"9A\.txt:\d+: filename: no image test/"),
    Case(
        "covidx",
        "image without id",
        added("test/*.png", "x.png"),
        r"test/x\.png: image without a row in test",
    ),
    Case("covidx", "mixed encodings", latin(COVIDX), r"9A\.txt:2: patient_id: byte 0xe9 is not utf-8"),
    Case("covidx", "absent table", gone(COVIDX), r"train_COVIDx9A\.txt: table not found"),
    Case("covidx", "absent split file", gone(COVIDX_TEST), r"test_COVIDx9A\.txt: table not found"),
    Case(
        "mimic-cxr", "missing column", header(META, "ViewPosition", "View"), r"data\.csv\.gz:1: ViewPosition:"
    ),
    Case("mimic-cxr", "extra header", header_again(META), r"data\.csv\.gz:3: dicom_id: a header row among"),
    Case(
        "mimic-cxr", "unknown label", cell(LABELS, 2, "2.0"), r"chexpert\.csv\.gz:2: .*'2\.0' is none of 1, 0"
    ),
    Case(
        "mimic-cxr", "unknown label", cell(SPLIT, 3, "valid"), r"split\.csv\.gz:2: split: .*mean 'validate'"
    ),
    Case("mimic-cxr", "duplicate id", row_again(META), r"data\.csv\.gz:\d+: dicom_id: duplicate id .* row 2"),
    Case(
        "mimic-cxr", "duplicate id", row_again(SPLIT), r"split\.csv\.gz:\d+: dicom_id: duplicate id .* row 2"
    ),
    Case("mimic-cxr", "duplicate id", row_again(LABELS), r"chexpert\.csv\.gz:\d+: study_id: duplicate id"),
    Case("mimic-cxr", "id without image", all_gone("files/*/*/*/*.jpg"), r"mimic-cxr: no image files/p1"),
    Case("mimic-cxr", "mixed encodings", latin(META), r"data\.csv\.gz:2: dicom_id: byte 0xe9 is not utf-8"),
    Case("mimic-cxr", "mixed encodings", lambda root: _cut_report(root), r"s\d+\.txt: not a text file"),
    Case("mimic-cxr", "absent table", gone(META), r"metadata\.csv: table not found"),
    Case("mimic-cxr", "absent split file", gone(SPLIT), r"split\.csv: table not found"),
    Case(
        "openi", "missing column", header(VIEWS, "projection", "view"), r"ions\.csv:1: projection: column is"
    ),
    Case("openi", "extra header", header_again(VIEWS), r"ions\.csv:3: uid: a header row among the data"),
    Case(
        "openi", "unknown label", cell(VIEWS, 2, "Oblique"), r"ions\.csv:2: projection: unknown value 'Obli"
    ),
    Case("openi", "duplicate id", row_again(VIEWS), r"ions\.csv:\d+: filename: duplicate id .* row 2"),
    Case(
        "openi",
        "duplicate id",
        added("ecgen-radiology/*.xml", "99.xml"),
        r"99\.xml: uId: CXR\d+ is the number of \d+\.xml, too",
    ),
    Case(
        "openi",
        "id without image",
        all_gone("NLMCXR_png/*.png"),
        r"\.xml: parentImage: no image CXR\d+_IM-\d+-1001 below .* \((\d+) of \1 images\)",
    ),
    Case("openi", "mixed encodings", latin(VIEWS), r"ions\.csv:2: uid: byte 0xe9 is not utf-8"),
    Case("openi", "absent table", gone(VIEWS), r"projections\.csv: no table says which films are frontal"),
    Case(
        "folder", "missing column", header(FILMS, "patient", "who"), r"films\.csv:1: patient: column is miss"
    ),
    Case("folder", "extra header", header_again(FILMS), r"films\.csv:3: image: a header row among the data"),
    Case(
        "folder",
        "box outside the image",
        cell(FILMS, 11, "Pneumonia: 60 3 9 9", "Pneumonia: "),
        r"films\.csv:\d+: boxes: box from 60 to 69 lies outside",
    ),
    Case(
        "folder", "negative size", cell(FILMS, 11, "Pneumonia: 6 3 -9 9", "Pneumonia: "), r"boxes: box of siz"
    ),
    Case("folder", "negative size", cell(FILMS, 3, "-4"), r"films\.csv:2: age: age -4 is negative"),
    Case("folder", "unknown label", cell(FILMS, 7, "2"), r"films\.csv:2: Pneumonia: '2' is none of 1, 0, -1"),
    Case("folder", "duplicate id", row_again(FILMS), r"films\.csv:\d+: image: duplicate id, first on row 2"),
    Case(
        "folder", "id without image", gone("films/*.dcm"), r"films\.csv:2: image: no file 'F00000\.dcm' below"
    ),
    Case("folder", "mixed encodings", latin(FILMS), r"films\.csv:2: image: byte 0xe9 is not utf-8"),
    Case("folder", "absent table", gone(FILMS), r"films\.csv: "),
    Case(
        "ms-cxr",
        "missing column",
        header(MS, "label_text", "text"),
        r"1\.0\.csv:1: label_text: column is mis",
    ),
    Case("ms-cxr", "extra header", header_again(MS), r"1\.0\.csv:3: dicom_id: a header row among"),
    Case(
        "ms-cxr",
        "box outside the image",
        cell(MS, 4, "60"),
        r"1\.0\.csv:2: x: box from 60 to \d+ lies outside",
    ),
    Case("ms-cxr", "negative size", cell(MS, 6, "-8"), r"1\.0\.csv:2: w: box of size -8"),
    Case("ms-cxr", "negative size", cell(MS, 8, "-64"), r"1\.0\.csv:2: image_width: image size -64"),
    Case("ms-cxr", "unknown label", cell(MS, 1, "Edma"), r"1\.0\.csv:2: category_name: .*mean 'Edema'"),
    Case(
        "ms-cxr",
        "duplicate id",
        cell(MS, 8, "640"),
        r"csv:\d+: path: size or path of .* differs from r",
    ),
    Case("ms-cxr", "id without image", gone("files/*/*/*/*.jpg"), r"1\.0\.csv:\d+: path: no image files/"),
    Case("ms-cxr", "mixed encodings", latin(MS), r"1\.0\.csv:2: dicom_id: byte 0xe9 is not utf-8"),
    Case("ms-cxr", "absent table", lambda root: _no_alignment(root), r"v1\.1\.0\.csv: table not found"),
    Case(
        "covid-cxr",
        "missing column",
        header(LUNGS, "finding", "found"),
        r"data\.csv:1: finding: column is mis",
    ),
    Case("covid-cxr", "extra header", header_again(LUNGS), r"data\.csv:3: patientid: a header row among"),
    Case(
        *(
            "covid-cxr",
            "box outside the image",
            coco(lambda c: c["annotations"][0].update(bbox=[50, 1, 30, 9])),
        ),
        r"boxes\.json: annotation \d+: bbox \[50, 1, 30, 9\] is empty or not in \d+x\d+",
    ),
    Case(
        *("covid-cxr", "negative size", coco(lambda c: c["annotations"][0].update(bbox=[5, 1, -3, 9]))),
        r"boxes\.json: annotation \d+: bbox \[5, 1, -3, 9\] is empty or not in",
    ),
    Case("covid-cxr", "negative size", cell(LUNGS, 3, "-40"), r"data\.csv:2: age: age -40 is negative"),
    Case(
        "covid-cxr",
        "unknown label",
        cell(LUNGS, 4, "Covfefe"),
        r"data\.csv:2: finding: unknown value 'covfefe",
    ),
    Case(
        *("covid-cxr", "unknown label", coco(lambda c: c["annotations"][0].update(category_id=9))),
        r"boxes\.json: annotation \d+: category 9 is no lung",
    ),
    Case(
        *("covid-cxr", "duplicate id", coco(lambda c: c["annotations"].append(c["annotations"][0]))),
        r"boxes\.json: annotation \d+: duplicate id",
    ),
    Case(
        "covid-cxr",
        "duplicate id",
        lambda root: _contradict(root),
        r"data\.csv:\d+: view: .* row 2 of the same",
    ),
    Case("covid-cxr", "id without image", gone("images/*"), r"data\.csv:\d+: filename: no image .*images/"),
    Case("covid-cxr", "mixed encodings", latin(LUNGS), r"data\.csv:2: patientid: byte 0xe9 is not utf-8"),
    Case("covid-cxr", "absent table", gone(LUNGS), r"metadata\.csv: table not found"),
    Case(
        "nih1k", "missing column", header(CXR14, "Finding Labels", "Findings"), r"csv:1: Finding Labels: col"
    ),
    Case("nih1k", "extra header", header_again(CXR14), r"v2020\.csv:3: .* a header row among"),
    Case("nih1k", "negative size", cell(CXR14, 7, "-5"), r"csv:2: OriginalImage\[Width: image size -5"),
    Case(
        "nih1k", "unknown label", cell(CXR14, 1, "Masses"), r"csv:2: Finding Labels: unknown value 'Masses'"
    ),
    Case("nih1k", "duplicate id", row_again(CXR14), r"v2020\.csv:\d+: Image Index: duplicate id"),
    Case("nih1k", "mixed encodings", latin(CXR14), r"v2020\.csv:2: Image Index: byte 0xe9 is not utf-8"),
    Case("nih1k", "absent table", gone(CXR14), r"v2020\.csv: table not found"),
    Case("chestxdet10", "missing column", entry(lambda e: e.pop("syms")), r"json:\[\d+\]: syms: is missing"),
    Case(
        "chestxdet10",
        "box outside the image",
        entry(lambda e: e["boxes"].__setitem__(0, [-5, 2, 9, 9])),
        r"train\.json:\[\d+\]: boxes: box \[-5, 2, 9, 9\] lies outside",
    ),
    Case(
        "chestxdet10",
        "box outside the image",
        entry(lambda e: e["boxes"].__setitem__(0, [5, 2, 90, 9])),
        r"\.png: boxes: box from 5 to 90 along x lies outside the film",
    ),
    Case(
        "chestxdet10",
        "negative size",
        entry(lambda e: e["boxes"].__setitem__(0, [9, 2, 5, 9])),
        r"boxes: \[9, 2, 5, 9\]: the second corner",
    ),
    Case(
        "chestxdet10",
        "unknown label",
        entry(lambda e: e["syms"].__setitem__(0, "Masses")),
        r"syms: unknown value 'Masses', did you mean 'Mass'",
    ),
    Case(
        "chestxdet10",
        "duplicate id",
        entry(lambda e: e.update(file_name=e["file_name"]), twice=True),
        r"json:\[\d+\]: file_name: duplicate id .*, already in train",
    ),
    Case("chestxdet10", "id without image", gone("train_data/*.png"), r"json: file_name: no image \d+\.png"),
    Case(
        "chestxdet10", "image without id", added("test_data/*.png", "x.png"), r"x\.png: image without a row"
    ),
    Case("chestxdet10", "mixed encodings", byte("train.json"), r"train\.json:1: .*byte 0xe9 is not utf-8"),
    Case("chestxdet10", "absent table", gone("train.json"), r"train\.json: table not found"),
    Case("chestxdet10", "absent split file", gone("test.json"), r"test\.json: table not found"),
    Case(
        "montgomery", "negative size", reading("Patient's Age: ", "Patient's Age: -"), r"reading: is not Pat"
    ),
    Case(
        "montgomery", "unknown label", reading("Patient's Sex: ", "Patient's Sex: X"), r"reading: is not Pat"
    ),
    Case("montgomery", "duplicate id", film_again(), r"\.jpg: a second file|\.png: a second file"),
    Case("montgomery", "id without image", gone("CXR_png/*.png"), r"mask without a film in CXR_png"),
    Case(
        "montgomery",
        "image without id",
        added("CXR_png/*.png", "MCUCXR_9999_0.png"),
        r"9999_0\.png: Left Lung: no mask ManualMask/leftMask/MCUCXR_9999_0\.png",
    ),
    Case(
        "montgomery", "mixed encodings", byte("ClinicalReadings/*.txt"), r"\.txt:1: .*byte 0xe9 is not utf-8"
    ),
    Case("montgomery", "absent table", no_folder("CXR_png"), r"CXR_png: no film below"),
    Case(
        "shenzhen",
        "unknown label",
        added("CXR_png/*.png", "CHNCXR_9999_2.png"),
        r"file name: no name such as CHNCXR_0001_0\.png",
    ),
    Case("shenzhen", "duplicate id", film_again(), r"\.jpg: a second file|\.png: a second file"),
    Case(
        "shenzhen",
        "id without image",
        added("mask/*.png", "CHNCXR_9999_0_mask.png"),
        r"9999_0_mask\.png: mask without a film in CXR_png",
    ),
    Case("shenzhen", "mixed encodings", byte("ClinicalReadings/*.txt"), r"\.txt:1: .*byte 0xe9 is not utf-8"),
    Case("shenzhen", "absent table", no_folder("CXR_png"), r"CXR_png: no film below"),
    Case(
        "jsrt",
        "missing column",
        lambda root: (
            (root / "CNNDAT_EN.TXT").write_text("JPCNN001.IMG\tnon-nodule\n" * 1)
            if (root / "All247images" / "JPCNN001.IMG").exists()
            else (root / "CLNDAT_EN.txt").write_text("JPCLN001.IMG\tmalignant\n")
        ),
        r"DAT_EN\.(txt|TXT):1: age: no age before Male or Female",
    ),
    Case(
        "jsrt",
        "negative size",
        lambda root: min((root / "All247images").iterdir()).write_bytes(bytes(99)),
        r"\.IMG: not a raw film: 99 bytes are no square",
    ),
    Case("jsrt", "duplicate id", film_again("All247images/*.IMG"), r"a second file for the same image"),
    Case("jsrt", "id without image", gone("All247images/*.IMG"), r"mask without a film|no film 'JPC"),
    Case("jsrt", "mixed encodings", byte("CLNDAT_EN.txt"), r"CLNDAT_EN\.txt:1: .*byte 0xe9 is not utf-8"),
    Case("jsrt", "absent table", no_folder("All247images"), r"no film such as JPCLN001\.IMG below"),
]

_NO_BOXES = "the release has no boxes"
_ONE_TABLE = "the release divides nothing; its one table is covered as absent table"
_NO_TABLE = "no table: names of files and folders tell"
CANNOT = {
    ("siim", "image without id"): "the release itself has such files; `Siim(strict=True)` minds them",
    ("siim", "absent split file"): _ONE_TABLE,
    ("rsna", "absent split file"): _ONE_TABLE,
    ("chexpert", "box outside the image"): _NO_BOXES,
    ("chexpert-test", "box outside the image"): _NO_BOXES,
    ("chexpert-test", "negative size"): "no field is a size or a number but the labels",
    ("chexpert-test", "absent split file"): "the test set is one table",
    ("covidx", "box outside the image"): _NO_BOXES,
    ("covidx", "negative size"): "no field is a size or a number",
    ("mimic-cxr", "box outside the image"): _NO_BOXES,
    ("mimic-cxr", "negative size"): "no field that is read is a size",
    ("mimic-cxr", "image without id"): "users keep shortened tables beside all 377,110 files",
    ("openi", "box outside the image"): _NO_BOXES,
    ("openi", "negative size"): "no field is a size or a number",
    ("openi", "image without id"): "copies circulate with films of more visits; they are counted",
    ("openi", "absent split file"): _ONE_TABLE,
    ("folder", "image without id"): "a folder may hold more films than the table is about; they are counted",
    ("folder", "absent split file"): _ONE_TABLE,
    ("ms-cxr", "image without id"): "MIMIC-CXR-JPG has 377,110 images, the table names 1,047 of them",
    ("ms-cxr", "absent split file"): _ONE_TABLE,
    ("covid-cxr", "image without id"): "the clone has CT slices and lateral films that are no samples",
    ("covid-cxr", "absent split file"): _ONE_TABLE,
    ("nih1k", "box outside the image"): _NO_BOXES,
    ("nih1k", "id without image"): "a part of the set is stated, and never refused",
    ("nih1k", "image without id"): "the clone, and ChestX-ray14, hold other films, which are counted",
    ("nih1k", "absent split file"): _ONE_TABLE,
    ("chestxdet10", "extra header"): _NO_TABLE,
    **{
        (reader, defect): _NO_TABLE
        for reader in ("montgomery", "shenzhen", "jsrt")
        for defect in ("missing column", "extra header", "box outside the image", "absent split file")
        if (reader, defect) != ("jsrt", "missing column")
    },
    ("shenzhen", "negative size"): "readings were typed freely, and are not relied on",
    ("shenzhen", "image without id"): "a film without a mask is left out, with a remark",
    ("jsrt", "unknown label"): "what a film shows is its name; other names are none of the set",
    ("jsrt", "image without id"): "a film without a mask is left out, with a remark",
}
"""Reader and defect that cannot occur, and why."""


def _glue(path: Path) -> None:
    path.write_text("patient_id filename class source\n" + path.read_text())


def _cut(path: Path) -> None:
    first, rest = path.read_text().split("\n", 1)
    path.write_text(first.rsplit(" ", 1)[0] + "\n" + rest)


def _cut_report(root: Path) -> None:
    (root / "mimic_cxr_sectioned.csv").unlink()
    sorted(root.glob("files/*/*/*.txt"))[0].write_bytes(b"\xff\xfeF\x00I\x00N")


def _no_alignment(root: Path) -> None:
    for path in root.glob("MS_CXR_Local_Alignment*"):
        path.unlink()


def _contradict(root: Path) -> None:
    row_again(LUNGS)(root)
    cell(LUNGS, 17, lambda view: "AP" if view == "PA" else "PA")(root)


COUNTS = {"mimic-cxr": 120, "cxr14": 48}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release of every data set."""
    root = tmp_path_factory.mktemp("releases")
    for name in dataset_names():
        # Parts of some splits are small, and a split without one of them is refused.
        ensure(name, root=root, count=COUNTS.get(name, 24), size=64, workers=1)
    return root


def test_the_table_has_every_reader_and_every_defect() -> None:
    wanted = {(reader, defect) for reader in READERS for defect in DEFECTS}
    listed = {(case.reader, case.defect) for case in CASES}
    assert listed | CANNOT.keys() == wanted
    assert not listed & CANNOT.keys()


@pytest.mark.parametrize("name", dataset_names())
def test_the_releases_are_sound(name: str, releases: Path) -> None:
    result = CliRunner().invoke(main, ["data", "audit", name, "--data-root", str(releases)])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith(f"{name} (phantom): ")


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{c.reader}-{c.defect}-{n}") for n, c in enumerate(CASES)]
)
def test_malformed(case: Case, releases: Path, tmp_path: Path) -> None:
    name = case.reader.removesuffix("-test")
    root = tmp_path / "data" / name
    shutil.copytree(releases / name, root)
    case.spoil(root)
    result = CliRunner().invoke(main, ["data", "audit", name, "--data-root", str(root.parent)])
    assert result.exit_code == 2, result.output + repr(result.exception)
    [line] = result.stderr.splitlines()
    assert line.startswith("g2d-bench: ")
    assert str(root.parent) in line, "the file is named in full"
    assert re.search(case.message, line), line
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "count", "public"),
    [("siim", 24, "12,047"), ("rsna", 24, "26,684"), ("cxr14", 48, "112,120"), ("object-cxr", 24, "9,000")],
)
def test_counts_against_the_card(name: str, count: int, public: str, releases: Path, tmp_path: Path) -> None:
    """Readable data that are not the public release can be audited; preparing it needs ``--partial``."""
    root = tmp_path / "data" / name
    shutil.copytree(releases / name, root)
    (root / PHANTOM_MARKER).unlink()
    place = ["--data-root", str(root.parent)]
    assert CliRunner().invoke(main, ["data", "audit", name, *place]).exit_code == 0
    result = CliRunner().invoke(main, ["data", "prepare", name, *place])
    assert result.exit_code == 2, result.output
    line = result.stderr.splitlines()[-1]
    assert f"counts.images: {count}, the public release has {public} (card {name}-" in line
    assert "nothing was linked" in line
