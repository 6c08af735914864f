"""ChestX-ray14 of the NIH Clinical Center."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.attach import attach_images, by_name, find_files
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.tables import Row, locate, make_box, optional, read_table, require

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural Thickening",
    "Hernia",
)
SPELLINGS = {"Pleural_Thickening": "Pleural Thickening", "Infiltrate": "Infiltration"}
"""Words of the two tables that stand for one of :data:`LABELS`."""

NO_FINDING = "No Finding"
SIDE = 1024
"""Width and height of the released PNG files; boxes are in these pixels, whatever the original size was."""

ENTRY_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOX_TABLE = "BBox_List_2017.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
# The header reads `Bbox [x,y,w,h],,,`: its commas cut one name into four.
SHIPPED_LISTS = "splits/cxr14-clean.csv.gz"
"""Among the shipped tasks: both official lists in one, with a validation part cut from the first."""
BOX_COLUMNS = ("Bbox [x", "y", "w", "h]")
ENTRY_COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
_AGE = re.compile(r"(\d+)([YMD]?)")
SIZE_COLUMNS = ("OriginalImage[Width", "Height]")


def _label(row: Row, column: str, word: str) -> str:
    label = SPELLINGS.get(word, word)
    if label not in LABELS:
        row.choice(column, (*LABELS, *SPELLINGS), word)
    return label


def _years(row: Row) -> str:
    """Age in whole years: the first edition writes 058Y (and months and days of infants), the second 58."""
    match = _AGE.fullmatch(row.text("Patient Age"))
    if match is None:
        raise row.error(f"{row['Patient Age']!r} is no age such as 58, 058Y or 011M", "Patient Age")
    return str(int(match[1]) // {"M": 12, "D": 365}.get(match[2], 1))


def read_entries(path: Path) -> list[Sample]:
    """Read the image table.

    Args:
        path: ``Data_Entry_2017.csv`` or its version of 2020.

    Returns:
        One sample per image in table order, all 14 labels 0 or 1, path relative and unproven.

    Raises:
        InputError: malformed table; the text names row and column.
    """
    table = read_table(path, (*ENTRY_COLUMNS, *SIZE_COLUMNS))
    known: dict[str, dict[str, float]] = {}
    samples = []
    for image, row in table.by_id("Image Index").items():
        findings = row.text("Finding Labels")
        if findings not in known:
            words = [word.strip() for word in findings.split("|")]
            if NO_FINDING in words and len(words) > 1:
                raise row.error(f"{NO_FINDING!r} beside other findings: {findings!r}", "Finding Labels")
            present = {_label(row, "Finding Labels", word) for word in words if word != NO_FINDING}
            known[findings] = {label: float(label in present) for label in LABELS}
        for column in SIZE_COLUMNS:
            if row.number(column) <= 0:
                raise row.error(f"image size {row[column]}, it must be positive", column)
        samples.append(
            Sample(
                id=image,
                patient=row.text("Patient ID"),
                path=Path(image),
                labels=known[findings],
                meta={
                    "row": str(row.line),
                    "sex": row.choice("Patient Gender", ("M", "F")),
                    "age": _years(row),
                    "view": row.choice("View Position", ("PA", "AP")),
                },
            )
        )
    return samples


def read_boxes(path: Path) -> dict[str, list[tuple[Row, Box]]]:
    """Read the box table.

    Returns:
        Image name to its boxes with their rows.

    Raises:
        InputError: malformed table; the text names row and column.
    """
    boxes: defaultdict[str, list[tuple[Row, Box]]] = defaultdict(list)
    for row in read_table(path, ("Image Index", "Finding Label", *BOX_COLUMNS)):
        image = row.text("Image Index")
        label = _label(row, "Finding Label", row.text("Finding Label"))
        x, y, w, h = (row.number(column) for column in BOX_COLUMNS)
        box = make_box(row, label, (x, y, w, h), (SIDE, SIDE), BOX_COLUMNS)
        if any(box == other for _, other in boxes[image]):
            raise row.error(f"duplicate box of image {image!r}", "Image Index")
        boxes[image].append((row, box))
    return dict(boxes)


def read_lists(root: Path, known: set[str], access: str) -> dict[str, str]:
    """Read the official lists, one image name per line.

    Args:
        root: the folder of the lists.
        known: all image names.
        access: how to get them, for the complaint.

    Returns:
        Image name to ``train`` (the official train and validation images) or ``test``.

    Raises:
        InputError: a list is absent, names an unknown image or one twice, or an image is in neither.
    """
    splits: dict[str, str] = {}
    for split, name in LISTS.items():
        for row in read_table(require(root, (name,), access), (), names=("Image Index",)):
            image = row["Image Index"]
            if image not in known:
                raise row.error(f"image {image!r} is not in the image table", "Image Index")
            if image in splits:
                raise row.error(f"duplicate id {image!r}, already in {splits[image]}", "Image Index")
            splits[image] = split
    left = known - splits.keys()
    if left:
        raise InputError(
            f"image {min(left)!r} is in neither list ({len(left)} images)",
            file=root,
            field=" and ".join(LISTS.values()),
        )
    return splits


def shipped_lists() -> dict[str, str]:
    """Return what :func:`read_lists` gives for the whole release, from the list that ships with the suite."""
    table = read_table(shipped("tasks") / SHIPPED_LISTS, ("id", "split"))
    return {row["id"]: "test" if row["split"] == "test" else "train" for row in table}


class Cxr14(Dataset):
    """112,120 frontal radiographs of 30,805 patients, 14 findings mined from reports, 984 boxes."""

    name: ClassVar[str] = "cxr14"
    title: ClassVar[str] = "ChestX-ray14"
    licence: ClassVar[str] = "NIH Clinical Center: free use with citation and a link to the source"
    films_open: ClassVar[str] = (
        "ChestX-ray14, NIH Clinical Center, https://nihcc.app.box.com/v/ChestXray-NIHCC"
    )
    citation: ClassVar[str] = (
        "Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised "
        "Classification and Localization of Common Thorax Diseases, CVPR 2017"
    )
    access: ClassVar[str] = "Download images and tables at https://nihcc.app.box.com/v/ChestXray-NIHCC"
    folders: ClassVar[tuple[str, ...]] = ("cxr14", "ChestX-ray14", "CXR8", "nih")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (ENTRY_TABLES,)
    patient_field: ClassVar[str] = "Patient ID"
    people: ClassVar[str] = "NIH"
    side: ClassVar[int | None] = SIDE
    labels: ClassVar[tuple[str, ...]] = LABELS
    checksums: ClassVar[Mapping[str, str]] = {
        "Data_Entry_2017_v2020.csv": "dc1d2df67fdc1c5a7601d48699cda2b13dc2c4841488b4183dcf04884dbaca11",
        "BBox_List_2017.csv": "0bbfea9d4c4e9771481b3023b1bc9f0df9dea924453b12986beb29b0c4d0c95b",
    }

    def table_samples(self, *, lists: bool = False) -> list[Sample]:
        """Make samples of the tables alone, in table order, paths unproven.

        Args:
            lists: the official lists must be there; without them ``split`` is "". Where a download of the
                release has neither, those that ship with the suite are taken.

        Raises:
            InputError: a table is missing or malformed, or two tables disagree.
        """
        samples = read_entries(require(self.root, ENTRY_TABLES, self.access))
        found = {sample.id: sample for sample in samples}
        box_table = optional(self, (BOX_TABLE,))
        boxes = read_boxes(box_table) if box_table else {}
        for image, entries in boxes.items():
            row, box = entries[0]
            if image not in found:
                raise row.error(f"image {image!r} is not in the image table", "Image Index")
            for row, box in entries:
                if found[image].labels[box.label] != 1:
                    raise row.error(f"image {image!r} lacks the finding {box.label!r}", "Finding Label")
        lists = lists or all(locate(self.root, (name,)) for name in LISTS.values())
        splits = self._shipped_splits(set(found)) or (
            read_lists(self.root, set(found), self.access) if lists else {}
        )
        return [
            Sample(
                id=sample.id,
                patient=sample.patient,
                path=sample.path,
                labels=sample.labels,
                split=splits.get(sample.id, ""),
                boxes=tuple(box for _, box in boxes.get(sample.id, [])),
                meta={**sample.meta, "boxes": "yes" if sample.id in boxes else "no"},
                frame=self.drawn_on if sample.id in boxes else None,
            )
            for sample in samples
        ]

    def _shipped_splits(self, known: set[str]) -> dict[str, str]:
        """Return NIH's parts as shipped, for a real download with neither list; else nothing."""
        if self.kind != "real" or any(locate(self.root, (name,)) for name in LISTS.values()):
            return {}
        listed = shipped_lists()
        if not known <= listed.keys():
            return {}
        self.remark(len(known), f"images are divided by NIH's {' and '.join(LISTS.values())} as shipped")
        return {image: listed[image] for image in known}

    def samples(self) -> list[Sample]:
        """Parse tables and lists and find images; see :meth:`Dataset.samples`."""
        samples = self.table_samples(lists=True)
        table = require(self.root, ENTRY_TABLES, self.access)
        # images_001/images … images_012/images as downloaded, or everything in one folder.
        files = find_files(self.root, (".png",)) or find_files(self.root, (".jpg", ".jpeg"))
        return attach_images(samples, self.root, files, table, "Image Index", by_name)


READER = Cxr14
