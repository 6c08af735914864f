"""CheXpert with its validation and test sets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import attach_images, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import release_folder
from g2d_bench.readers.tables import MISSING, Row, locate, optional, read_table, require

LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
COMPETITION = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The five labels of the CheXpert competition."""

VIEW_COLUMN = "Frontal/Lateral"
SUFFIXES = (".jpg", ".png")
_PATH = re.compile(r"(train|valid|test)/(patient\d+)/(study\d+)/(view\d+_(frontal|lateral)\.(?:jpg|png))")
_STUDY = re.compile(r"(test)/(patient\d+)/(study\d+)")
_PREFIX = re.compile(r"^CheXpert-v1\.0[^/]*/")
_BATCH = re.compile(r"batch \d+\b", re.IGNORECASE)
_PLACE = re.compile(r"(?:(train|valid|test)/)?(patient\d+/study\d+/[^/]+)$")
_VALUES = {"1": 1.0, "0": 0.0, "-1": -1.0, "": float("nan")}


def strip_prefix(path: str) -> str:
    """Take the release's name (``CheXpert-v1.0/``, ``CheXpert-v1.0-small/``) off a path."""
    return _PREFIX.sub("", path)


class _Labels:
    """Reads the 14 label cells by name; equal rows share one mapping, which a quarter of a million need."""

    def __init__(self, labels: tuple[str, ...], *, uncertain: bool) -> None:
        self.labels = labels
        self.allowed = _VALUES if uncertain else {"1": 1.0, "0": 0.0}
        self.known: dict[tuple[str, ...], dict[str, float]] = {}

    def __call__(self, row: Row) -> dict[str, float]:
        texts = tuple(row[label] for label in self.labels)
        if texts not in self.known:
            self.known[texts] = {label: self._value(row, label) for label in self.labels}
        return self.known[texts]

    def _value(self, row: Row, label: str) -> float:
        text = "" if row[label] in MISSING else row[label]
        # The releases write 1.0, copies of them 1.
        text = text.removesuffix(".0")
        if text not in self.allowed:
            allowed = ", ".join(word or "empty" for word in self.allowed)
            raise row.error(f"unknown label value {row[label]!r}, allowed: {allowed}", label)
        return self.allowed[text]


def read_images(path: Path, split: str) -> list[Sample]:
    """Read a table with one row per image: ``train.csv``, ``valid.csv`` or ``test_labels.csv``.

    Args:
        path: the table. Sex, age and view columns may be absent from a test table.
        split: what the paths must begin with, after the release's name.

    Returns:
        One sample per image in table order, path relative and unproven. Labels are read by name: two
        copies of this data set order them differently.

    Raises:
        InputError: malformed table; the text names row and column.
    """
    table = read_table(path, ("Path", *LABELS, *(() if split == "test" else (VIEW_COLUMN, "Sex", "Age"))))
    labels = _Labels(LABELS, uncertain=split != "test")
    samples = []
    for text, row in table.by_id("Path").items():
        place = strip_prefix(text)
        match = _PATH.fullmatch(place)
        if match is None or match[1] != split:
            raise row.error(f"{text!r} does not look like {split}/patient…/study…/view…_frontal.jpg", "Path")
        meta = {"row": str(row.line), "view": match[5], "study": match[3]}
        if VIEW_COLUMN in table.columns:
            view = row.choice(VIEW_COLUMN, ("Frontal", "Lateral")).lower()
            if view != match[5]:
                raise row.error(f"{row[VIEW_COLUMN]} contradicts the file name {match[4]}", VIEW_COLUMN)
            meta["sex"] = row.choice("Sex", ("Male", "Female", "Unknown"))
            if row.number("Age") < 0:
                raise row.error(f"age {row['Age']} is negative", "Age")
            meta["age"] = row["Age"]
            if "AP/PA" in table.columns:
                meta["projection"] = row["AP/PA"]
        samples.append(
            Sample(
                id=place.rsplit(".", 1)[0],
                patient=match[2],
                path=Path(place),
                labels=labels(row),
                split=split,
                meta=meta,
            )
        )
    return samples


def read_studies(path: Path) -> list[Sample]:
    """Read the published test labels, which are keyed by study.

    Args:
        path: ``groundtruth.csv``.

    Returns:
        One sample per study in table order; its path is the folder of the study.

    Raises:
        InputError: malformed table; the text names row and column.
    """
    table = read_table(path, ("Study", *COMPETITION))
    labels = _Labels(tuple(label for label in LABELS if label in table.columns), uncertain=False)
    samples = []
    for text, row in table.by_id("Study").items():
        place = strip_prefix(text).strip("/")
        match = _STUDY.fullmatch(place)
        if match is None:
            raise row.error(f"{text!r} does not look like test/patient…/study…", "Study")
        samples.append(
            Sample(
                id=place,
                patient=match[2],
                path=Path(place),
                labels=labels(row),
                split="test",
                meta={"row": str(row.line), "study": match[3]},
            )
        )
    return samples


class CheXpert(Dataset):
    """223,414 radiographs for training, 234 for validation, 500 test studies; uncertain labels are -1."""

    name: ClassVar[str] = "chexpert"
    title: ClassVar[str] = "CheXpert"
    licence: ClassVar[str] = "Stanford University Dataset Research Use Agreement: non-commercial research"
    citation: ClassVar[str] = (
        "Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert "
        "Comparison, AAAI 2019"
    )
    access: ClassVar[str] = (
        "Register at https://aimi.stanford.edu/datasets/chexpert-chest-x-rays; "
        "test labels: https://github.com/rajpurkarlab/cheXpert-test-set-labels"
    )
    folders: ClassVar[tuple[str, ...]] = (
        "chexpert",
        "CheXpert-v1.0",
        "CheXpert-v1.0-small",
        "CheXpert",
        "chexpertchestxrays-u20210408",
    )
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (("train.csv",), ("valid.csv",))
    descend: ClassVar[bool] = False
    patient_field: ClassVar[str] = "Path"
    labels: ClassVar[tuple[str, ...]] = LABELS

    @property
    def base(self) -> Path:
        """The folder that holds ``train.csv``: the root, or a ``CheXpert-v1.0…`` folder inside it."""
        for folder in (self.root, *sorted(self.root.glob("CheXpert-v1.0*"))):
            if locate(folder, ("train.csv",)):
                return folder
        return release_folder(self.root, self.tables)

    @property
    def image_root(self) -> Path:
        """The folder below which the images lie: that of the tables or, where batches were unpacked, of all.

        The full-size release comes as ``CheXpert-v1.0 batch 1 (validate & csv)`` with the tables and
        ``valid/``, and ``CheXpert-v1.0 batch 2 (train 1)`` and following with the patients of train directly.
        """
        return self.base.parent if _BATCH.search(self.base.name) else self.base

    def _files(self, split: str) -> dict[str, str]:
        """Find the images of a part: place in the plain layout to place below :attr:`image_root`."""
        root = self.image_root
        if root == self.base:
            return {file: file for file in find_files(root, SUFFIXES, (split,))}
        batches = tuple(path.name for path in sorted(root.iterdir()) if _BATCH.search(path.name))
        found: dict[str, str] = {}
        for file in find_files(root, SUFFIXES, (*batches, split)):
            match = _PLACE.search(file)
            if match is None or (match[1] or _part(file)) != split:
                continue
            if (first := found.setdefault(f"{split}/{match[2]}", file)) != file:
                raise InputError(f"a second file for the same image, beside {first}", file=root / file)
        return found

    def _test_table(self) -> tuple[Path | None, bool]:
        """Find the test labels: the table and whether it is keyed by study."""
        names = {"groundtruth.csv": True, "test_labels.csv": False}
        for folder in (self.base, self.base / "test", self.image_root, self.image_root / "test", self.root):
            for name, by_study in names.items():
                if path := locate(folder, (name,)):
                    return path, by_study
        return optional(self, tuple(names)), False

    def table_samples(self) -> list[Sample]:
        """Make samples of the tables alone, in table order: train, valid, test (here one per study).

        Raises:
            InputError: a table is missing or malformed.
        """
        samples: list[Sample] = []
        for split in ("train", "valid"):
            samples += read_images(require(self.base, (f"{split}.csv",), self.access), split)
        table, by_study = self._test_table()
        if table:
            samples += read_studies(table) if by_study else read_images(table, "test")
        return samples

    def samples(self) -> list[Sample]:
        """Parse tables and find images; a test study gives one sample per image of it."""
        samples = self.table_samples()
        done: list[Sample] = []
        for split in ("train", "valid"):
            part = [sample for sample in samples if sample.split == split]
            labels = require(self.base, (f"{split}.csv",), self.access)
            done += self._attach(part, self._files(split), labels, "Path")
        files = self._files("test")
        table, by_study = self._test_table()
        if table is not None:
            part = [sample for sample in samples if sample.split == "test"]
            part = _expand(part, list(files), table) if by_study else part
            done += self._attach(part, files, table, "Study" if by_study else "Path")
        elif files:
            first = self.image_root / min(files.values())
            raise InputError(f"{len(files)} test images without labels; {self.access}", file=first)
        return sorted(done, key=lambda sample: sample.id)

    def _attach(
        self, part: Sequence[Sample], files: Mapping[str, str], table: Path, column: str
    ) -> list[Sample]:
        plain = {file: place for place, file in files.items()}
        return attach_images(
            part, self.image_root, sorted(plain), table, column, lambda path: plain.get(path, path)
        )


def _part(file: str) -> str:
    """Return the part that a batch without a folder for it holds, by the batch's name."""
    name = file.split("/", 1)[0].lower()
    return next((part for part in ("train", "valid", "test") if part in name.split("batch", 1)[-1]), "")


def _expand(studies: Sequence[Sample], files: Sequence[str], table: Path) -> list[Sample]:
    """Make one sample per image of a test study.

    Raises:
        InputError: a study without images, or an image without a view in its name.
    """
    images = defaultdict(list)
    for file in files:
        images[file.rsplit("/", 1)[0]].append(file)
    samples = []
    for study in studies:
        if study.id not in images:
            raise InputError(f"no image in {study.path}", file=f"{table}:{study.meta['row']}", field="Study")
        for file in images[study.id]:
            match = _PATH.fullmatch(file)
            if match is None:
                raise InputError("file name does not look like view1_frontal.jpg", file=table.parent / file)
            meta = {**study.meta, "view": match[5]}
            samples.append(replace(study, id=file.rsplit(".", 1)[0], path=Path(file), meta=meta))
    return samples


READER = CheXpert
