"""The layout of MIMIC-CXR."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.phantom.writers import WRITERS
from g2d_bench.readers.base import Sample


def test_mimic_layout(make: Any, rows: Callable[[Path], list[list[str]]]) -> None:
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


def test_mimic_reports_are_read_alike_from_table_and_files(
    make: Any, tmp_path: Path, read: Callable[[Path], list[Sample]]
) -> None:
    from g2d_bench.readers.reports import sentences

    folder = make("mimic-cxr")
    copy = tmp_path / "mimic-cxr"
    shutil.copytree(folder, copy)
    (copy / "mimic_cxr_sectioned.csv").unlink()
    for one, other in zip(read(folder), read(copy), strict=True):
        assert one.report
        assert sentences(one.report) == sentences(other.report)


def test_phantom_pretraining_shares_no_patient_with_tasks(
    make: Any, read: Callable[[Path], list[Sample]]
) -> None:
    pretraining = {sample.patient for sample in read(make("mimic-cxr"))}
    for name in sorted(set(WRITERS) - {"mimic-cxr"}):
        assert not pretraining & {sample.patient for sample in read(make(name))}, name
