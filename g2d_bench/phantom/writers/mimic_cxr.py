"""MIMIC-CXR-JPG with the reports of MIMIC-CXR."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import CHEXPERT
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import csv_text, encode, number_of, write_bytes, write_gzip

COUNT = 6000
SIZE = 256
LABELS = tuple(sorted(CHEXPERT))
"""The table of MIMIC-CXR-JPG has its labels in alphabetical order."""


def identity(phantom: Phantom) -> tuple[int, int, str]:
    """Subject, study and image identifier of an image.

    The subject number holds three digits of a hash of data set and seed, so that two data sets share none.
    """
    scene = phantom.scene
    number = scene.patient.number
    mark = digest("namespace", scene.namespace, scene.seed, bits=32) % 1000
    subject = 10_000_000 + number % 10 * 1_000_000 + mark * 1000 + number // 10
    study = 50_000_000 + (scene.index * 7919 + mark * 104_729) % 9_999_991
    words = [
        f"{digest('dicom', scene.namespace, scene.seed, scene.index, part, bits=32):08x}" for part in range(5)
    ]
    return subject, study, "-".join(words)


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one image and its report; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    subject, study, dicom = identity(phantom)
    place = folder / "files" / f"p{str(subject)[:2]}" / f"p{subject}"
    write_bytes(place / f"s{study}" / f"{dicom}.jpg", encode(phantom.image, "JPEG"))
    report = phantom.report
    assert report is not None
    write_bytes(place / f"s{study}.txt", report.text.encode())
    view = scene.technique.view
    return {
        "dicom": dicom,
        "subject": subject,
        "study": study,
        "view": view.split()[0],
        "procedure": "CHEST (PA AND LAT)" if view == "PA" else "CHEST (PORTABLE AP)",
        "size": phantom.image.shape,
        "date": 21000101 + scene.order + 10000 * number_of(scene, "year", digits=1),
        "orientation": "Recumbent" if scene.supine else "Erect",
        "mentions": dict(report.mentions),
        "sections": dict(report.sections),
        "last": report.text.strip().split("\n \n")[-1].strip(),
    }


def _split(subject: int) -> str:
    # The release has 0.8 % validate and 1.4 % test; more here, so that small sets have some.
    share = digest("mimic split", subject, bits=32) % 100
    return "validate" if share < 4 else "test" if share < 10 else "train"


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write metadata, official split, CheXpert labels (as a labeller reads them off the report), sections."""
    items = sorted(items, key=lambda item: (item["subject"], item["study"], item["dicom"]))
    view_code = {
        "PA": ("postero-anterior", "CHEST"),
        "AP": ("antero-posterior", "CHEST"),
    }
    metadata: list[list[object]] = [
        [
            "dicom_id",
            "subject_id",
            "study_id",
            "PerformedProcedureStepDescription",
            "ViewPosition",
            "Rows",
            "Columns",
            "StudyDate",
            "StudyTime",
            "ProcedureCodeSequence_CodeMeaning",
            "ViewCodeSequence_CodeMeaning",
            "PatientOrientationCodeSequence_CodeMeaning",
        ]
    ]
    split: list[list[object]] = [["dicom_id", "study_id", "subject_id", "split"]]
    labels: list[list[object]] = [["subject_id", "study_id", *LABELS]]
    sectioned: list[list[object]] = [["study", "impression", "findings", "last_paragraph", "comparison"]]
    for item in items:
        meaning, code = view_code[item["view"]]
        metadata.append(
            [
                item["dicom"],
                item["subject"],
                item["study"],
                item["procedure"],
                item["view"],
                *item["size"],
                item["date"],
                "120000.000",
                code,
                meaning,
                item["orientation"],
            ]
        )
        split.append([item["dicom"], item["study"], item["subject"], _split(item["subject"])])
        mentions = item["mentions"]
        labels.append(
            [
                item["subject"],
                item["study"],
                *(f"{mentions[name]:.1f}" if name in mentions else "" for name in LABELS),
            ]
        )
        sections = item["sections"]
        last = "" if "findings" in sections or "impression" in sections else item["last"]
        sectioned.append(
            [
                f"s{item['study']}",
                sections.get("impression", ""),
                sections.get("findings", ""),
                last,
                sections.get("comparison", ""),
            ]
        )
    for name, rows in (("metadata", metadata), ("split", split), ("chexpert", labels)):
        write_gzip(folder / f"mimic-cxr-2.0.0-{name}.csv.gz", csv_text(rows))
    (folder / "mimic_cxr_sectioned.csv").write_text(csv_text(sectioned), encoding="utf-8")
