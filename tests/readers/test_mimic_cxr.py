from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.mimic_cxr import FRONTAL, MimicCxr
from g2d_bench.readers.reports import sentences

STUDIES = [("10000032", "50414267", "d1", "PA"), ("10000032", "50414267", "d2", "LATERAL")]
STUDIES += [("10000764", "57375967", "a3", "AP"), ("11000764", "57375968", "d4", "")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lines = ["dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns"]
    split = ["dicom_id,study_id,subject_id,split"]
    for subject, study, dicom, view in STUDIES:
        lines.append(f'{dicom},{subject},{study},"CHEST (PA AND LAT)",{view},8,8')
        split.append(f"{dicom},{study},{subject},{'test' if subject[1] == '1' else 'train'}")
        path = tmp_path / f"files/p{subject[:2]}/p{subject}/s{study}/{dicom}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 9, np.uint8)).save(path)
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text("\n".join(lines) + "\n")
    with gzip.open(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", "wt") as file:
        file.write("\n".join(split) + "\n")
    header = "subject_id,study_id," + ",".join(MimicCxr.labels)
    row = "10000032,50414267,1.0,0.0,-1.0," + "," * 10
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv").write_text(f"{header}\n{row}\n")
    (tmp_path / "files/p10/p10000032/s50414267.txt").write_text("FINDINGS: Lungs are clear.\n")
    nested = tmp_path / "mimic-cxr-reports/files/p10/p10000764/s57375967.txt"
    nested.parent.mkdir(parents=True)
    nested.write_text(" IMPRESSION:\n\n Mild edema.\n")
    return tmp_path


def test_samples(root: Path) -> None:
    dataset = MimicCxr(root)
    samples = dataset.samples()
    assert [sample.id for sample in samples] == ["a3", "d1", "d2", "d4"]
    assert [sample.meta["view"] for sample in samples] == ["AP", "PA", "LATERAL", ""]
    assert [sample.id for sample in samples if sample.meta["view"] in FRONTAL] == ["a3", "d1"]
    assert [sample.split for sample in samples] == ["train", "train", "train", "test"]
    assert [sample.patient for sample in samples] == ["10000764", "10000032", "10000032", "11000764"]
    assert sentences(samples[0].report) == ["Mild edema."]
    assert sentences(samples[1].report) == sentences(samples[2].report) == ["Lungs are clear."]
    assert samples[3].report == ""
    labels = samples[1].labels
    assert (labels["Atelectasis"], labels["Cardiomegaly"], labels["Consolidation"]) == (1, 0, -1)
    assert math.isnan(labels["Edema"])
    assert samples[3].labels == {}
    assert all(dataset.read_image(sample).shape == (8, 8) for sample in samples)


def test_labels_are_optional(root: Path) -> None:
    (root / "mimic-cxr-2.0.0-chexpert.csv").unlink()
    assert [dict(sample.labels) for sample in MimicCxr(root).samples()] == [{}] * 4


def test_sectioned_table_is_preferred(root: Path) -> None:
    (root / "mimic_cxr_sectioned.csv").write_text(
        "study,impression,findings,last_paragraph,comparison\n"
        's50414267,"No\nedema.","Clear, ""both"" lungs.",,\n'
        "s57375967,,,Only paragraph here.,None\n"
    )
    reports = {sample.id: sentences(sample.report) for sample in MimicCxr(root).samples()}
    assert reports["d1"] == ["No edema.", 'Clear, "both" lungs.']
    assert reports["a3"] == ["Only paragraph here."]
    assert reports["d4"] == []


def _swap(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new, 1))


METADATA, CHEXPERT = "mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-chexpert.csv"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / METADATA).unlink(), r"metadata\.csv: table not found"),
        (lambda root: (root / "mimic-cxr-2.0.0-split.csv.gz").unlink(), r"split\.csv: table not found"),
        (_swap(METADATA, "ViewPosition", "View"), r"metadata\.csv:1: ViewPosition: column is missing"),
        (_swap(METADATA, "d1,10000032", "d1,p10000032"), r"metadata\.csv:2: subject_id: 'p10000032'"),
        (_swap(METADATA, "a3,", "zz,"), r"metadata\.csv:4: dicom_id: 'zz' is not in"),
        (_swap(CHEXPERT, "-1.0", "2.0"), r"chexpert\.csv:2: Consolidation: '2\.0'"),
        (_swap(CHEXPERT, "-1.0", "yes"), r"chexpert\.csv:2: Consolidation: 'yes'"),
        (
            lambda root: (root / "mimic-cxr-2.0.0-split.csv").write_text("dicom_id,split\nd1,valid\n"),
            r"split\.csv:2: split: unknown value 'valid', did you mean 'validate'",
        ),
        (
            lambda root: (root / "mimic_cxr_sectioned.csv").write_text("study,findings\n"),
            r"sectioned\.csv:1: impression: column is missing",
        ),
    ],
)
def test_bad_input(root: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        MimicCxr(root).samples()
    assert "\n" not in str(error.value)


def test_a_report_that_is_a_folder(root: Path) -> None:
    (root / "files/p11/p11000764/s57375968.txt").mkdir()
    with pytest.raises(InputError, match=r"s57375968\.txt: is no regular file"):
        MimicCxr(root).samples()


def physionet(root: Path) -> MimicCxr:
    """Lay films and reports down as PhysioNet does, in folders of two releases, and link the films."""
    files = root / "physionet.org" / "files"
    films, reports = files / "mimic-cxr-jpg" / "2.0.0", files / "mimic-cxr" / "2.0.0"
    films.mkdir(parents=True)
    reports.mkdir(parents=True)
    for path in list(root.iterdir()):
        if path.name not in ("physionet.org", "mimic-cxr-reports"):
            path.rename(films / path.name)
    (root / "mimic-cxr-reports").rename(reports / "mimic-cxr-reports")
    (root / "data").mkdir()
    (root / "data" / "mimic-cxr").symlink_to(films)
    return MimicCxr(root / "data" / "mimic-cxr")


def test_reports_are_found_beside_what_a_link_leads_to(root: Path) -> None:
    dataset = physionet(root)
    assert sentences({s.id: s for s in dataset.samples()}["a3"].report) == ["Mild edema."]
    assert [path.name for path in dataset.beside()] == ["s57375967.txt"]


def test_a_report_that_changes_outside_is_noticed(root: Path, own_cache: Path) -> None:
    dataset = physionet(root)
    before = Manifest.open(dataset).content_hash
    [report] = dataset.beside()
    report.write_text("IMPRESSION: Large effusion on the left.\n")
    assert Manifest.open(MimicCxr(dataset.root)).content_hash != before
    table = report.parents[4] / "mimic_cxr_sectioned.csv"
    table.write_text("study,impression,findings\ns57375967,Clear.,\n")
    assert MimicCxr(dataset.root).beside() == [table]
    changed = {s.id: s for s in Manifest.open(MimicCxr(dataset.root)).samples}
    assert sentences(changed["a3"].report) == ["Clear."]


def test_a_part_of_the_films_is_taken_and_counted(root: Path) -> None:
    film = root / "files/p10/p10000032/s50414267/d1.jpg"
    film.unlink()
    other = root / "files/p11/p11000764/s57375968/d4.jpg"
    other.rename(other.with_suffix(".png"))
    dataset = MimicCxr(root)
    assert [sample.id for sample in dataset.samples()] == ["a3", "d2", "d4"]
    assert dataset.samples()[2].path == other.with_suffix(".png")
    assert dataset.remarks == [
        "1 images of the tables are not here and are left out",
        "1 studies have no report",
    ]
