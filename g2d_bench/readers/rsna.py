"""RSNA Pneumonia Detection Challenge, stage 2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.progress import track
from g2d_bench.readers.attach import attach_images, by_stem, find_files
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.images import read_dicom_header
from g2d_bench.readers.tables import Row, make_box, optional, read_table, require

LABEL = "Pneumonia"
"""The target of the challenge: an opacity that suggests pneumonia."""

SIDE = 1024
"""Width and height in pixels of every released radiograph, in which the boxes are given."""

BOX_COLUMNS = ("x", "y", "width", "height")
CLASSES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")
LABEL_TABLE = "stage_2_train_labels.csv"
CLASS_TABLE = "stage_2_detailed_class_info.csv"
IMAGE_FOLDER = "stage_2_train_images"


def read_labels(path: Path) -> dict[str, tuple[Row, list[Box]]]:
    """Read the box table: one row per box, one row with empty boxes for a negative patient.

    Args:
        path: ``stage_2_train_labels.csv``, plain or packed.

    Returns:
        Patient id to its first row and its boxes (none for a negative), in the order of the table.

    Raises:
        InputError: malformed table; the text names row and column.
    """
    patients: dict[str, tuple[Row, list[Box]]] = {}
    for row in read_table(path, ("patientId", *BOX_COLUMNS, "Target")):
        patient = row.text("patientId")
        target = row.choice("Target", ("0", "1"))
        numbers = [row.number(column, required=target == "1") for column in BOX_COLUMNS]
        if target == "0":
            filled = [column for column, number in zip(BOX_COLUMNS, numbers, strict=True) if number == number]
            if filled:
                raise row.error("has a value though Target is 0", filled[0])
            if patient in patients:
                raise row.error(
                    f"duplicate id {patient!r}, first on row {patients[patient][0].line}", "patientId"
                )
            patients[patient] = (row, [])
            continue
        x, y, w, h = numbers
        box = make_box(row, LABEL, (x, y, w, h), (SIDE, SIDE), BOX_COLUMNS)
        first, boxes = patients.setdefault(patient, (row, []))
        if first["Target"] != "1":
            raise row.error(f"patient {patient!r} has Target 0 on row {first.line}", "Target")
        if box in boxes:
            raise row.error(f"duplicate box of patient {patient!r}", "x")
        boxes.append(box)
    return patients


def read_classes(path: Path) -> dict[str, Row]:
    """Read the class table, which repeats a patient's row once per box.

    Returns:
        Patient id to its first row; its ``class`` is one of :data:`CLASSES`.

    Raises:
        InputError: malformed table, or two classes for one patient.
    """
    classes: dict[str, Row] = {}
    for row in read_table(path, ("patientId", "class")):
        row.choice("class", CLASSES)
        first = classes.setdefault(row.text("patientId"), row)
        if first["class"] != row["class"]:
            raise row.error(
                f"patient {row['patientId']!r} is {first['class']!r} on row {first.line}", "class"
            )
    return classes


def filled_boxes(boxes: tuple[Box, ...], shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
    """Draw boxes as a mask: how RSNA segmentation is defined (MGCA, appendix; G2D, section 4).

    Args:
        boxes: in raw pixels.
        shape: (H, W) of the raw image.
        label: which boxes to draw.

    Returns:
        Shape [H, W]: the union of the boxes, edges rounded to whole pixels.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    for box in boxes:
        if box.label == label:
            rows = slice(round(box.y), round(box.y + box.h))
            mask[rows, round(box.x) : round(box.x + box.w)] = True
    return mask


def with_headers(samples: list[Sample]) -> list[Sample]:
    """Add sex, age, view and device from the headers of DICOM files, which alone tell them.

    A file that cannot be read says nothing here; whoever decodes it will complain.
    """

    def said(sample: Sample) -> dict[str, str]:
        if sample.path.suffix.lower() != ".dcm":
            return {}
        with suppress(InputError, OSError):
            header = read_dicom_header(sample.path)
            return {key: header[key] for key in ("sex", "age", "view", "device") if header[key]}
        return {}

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        headers = track(pool.map(said, samples), "reading headers of rsna", len(samples), "img")
        return [
            replace(sample, meta={**sample.meta, **header})
            for sample, header in zip(samples, headers, strict=True)
        ]


class Rsna(Dataset):
    """26,684 frontal radiographs, 6,012 of them with boxes of opacities; one image per patient id."""

    name: ClassVar[str] = "rsna"
    title: ClassVar[str] = "RSNA Pneumonia Detection Challenge (stage 2)"
    licence: ClassVar[str] = "Kaggle competition rules: non-commercial use and academic research"
    citation: ClassVar[str] = (
        "Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
        "Annotations of Possible Pneumonia, Radiology: Artificial Intelligence 1(1), 2019"
    )
    access: ClassVar[str] = (
        "Accept the rules and download at https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"
    )
    folders: ClassVar[tuple[str, ...]] = ("rsna", "rsna-pneumonia-detection-challenge", "RSNA_Pneumonia")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((LABEL_TABLE,),)
    patient_field: ClassVar[str] = "patientId"
    # Shih et al., Radiology: Artificial Intelligence 2019: the films are NIH's.
    takes_films_of: ClassVar[tuple[str, ...]] = ("cxr14",)
    side: ClassVar[int | None] = SIDE
    labels: ClassVar[tuple[str, ...]] = (LABEL,)
    checksums: ClassVar[Mapping[str, str]] = {
        "stage_2_train_labels.csv": "bb40b7e956e9922a6b275ed4a158197568cf9ab618017d53db6159b1b624bb65",
    }

    def table_samples(self) -> list[Sample]:
        """Make samples of the tables alone, paths relative to the root and unproven, in table order.

        Raises:
            InputError: a table is missing or malformed, or the two tables disagree.
        """
        table = require(self.root, (LABEL_TABLE,), self.access)
        patients = read_labels(table)
        class_table = optional(self, (CLASS_TABLE,))
        classes = read_classes(class_table) if class_table else {}
        for patient, row in classes.items():
            if patient not in patients:
                raise row.error(f"patient {patient!r} is not in {table.name}", "patientId")
            if (row["class"] == CLASSES[2]) != bool(patients[patient][1]):
                raise row.error(f"{row['class']!r} contradicts Target in {table.name}", "class")
        samples = []
        for patient, (row, boxes) in patients.items():
            meta = {"row": str(row.line)}
            if class_table:
                if patient not in classes:
                    raise row.error(f"patient {patient!r} is not in {class_table.name}", "patientId")
                meta["class"] = classes[patient]["class"]
            samples.append(
                Sample(
                    id=patient,
                    patient=patient,
                    path=Path(IMAGE_FOLDER, f"{patient}.dcm"),
                    labels={LABEL: float(bool(boxes))},
                    boxes=tuple(boxes),
                    meta=meta,
                    frame=self.drawn_on if boxes else None,
                )
            )
        return samples

    def samples(self) -> list[Sample]:
        """Parse tables and find images; see :meth:`Dataset.samples`.

        Copies circulate at 224 to 512 pixels beside the table of the release: boxes are in pixels of 1,024
        whatever the files have, generated data aside.
        """
        samples = self.table_samples()
        files = find_files(self.root, (".dcm", ".png", ".jpg", ".jpeg"), (IMAGE_FOLDER,))
        table = require(self.root, (LABEL_TABLE,), self.access)
        return with_headers(attach_images(samples, self.root, files, table, "patientId", by_stem))

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Fill the boxes; see :meth:`Dataset.read_mask`.

        Raises:
            InputError: a box does not fit the image, or another label is asked for.
        """
        if label != LABEL:
            raise InputError(f"data set {self.name} has no masks of {label!r}; it has {LABEL!r}")
        for box in sample.boxes:
            if box.x + box.w > shape[1] or box.y + box.h > shape[0]:
                raise InputError(
                    f"box to {box.x + box.w:g},{box.y + box.h:g} outside the image {shape[1]}x{shape[0]}",
                    file=sample.path,
                    field="boxes",
                )
        return filled_boxes(sample.boxes, shape, label)


READER = Rsna
