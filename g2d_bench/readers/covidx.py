"""COVIDx: the lists of COVID-Net over radiographs from several public sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import attach_images, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.tables import locate, read_table, require

LABELS = ("Normal", "Pneumonia", "COVID-19")
"""In the order of the class indices of the published three-class protocol."""

CLASSES = {"normal": "Normal", "pneumonia": "Pneumonia", "COVID-19": "COVID-19"}
"""Class words of the A lists. The B lists have ``positive`` and ``negative`` instead."""

TWO_CLASSES = ("positive", "negative")
COLUMNS = ("patient_id", "filename", "class", "source")
LISTS = {
    "train": ("train_COVIDx9A.txt", "train_COVIDx9B.txt", "train.txt"),
    "val": ("val_COVIDx9A.txt", "val_COVIDx9B.txt", "val.txt"),
    "test": ("test_COVIDx9A.txt", "test_COVIDx9B.txt", "test.txt"),
}
OPTIONAL = "val"
"""Editions since CXR-3 have a validation part of their own; the A and B lists have none."""

SOURCE_TYPOS = {"rnsa": "rsna"}
SUFFIXES = (".png", ".jpg", ".jpeg")

_NAN = float("nan")
_BY_CLASS = {
    **{word: {label: float(label == name) for label in LABELS} for word, name in CLASSES.items()},
    "positive": {"Normal": 0.0, "Pneumonia": 0.0, "COVID-19": 1.0},
    # A negative may be normal or have another pneumonia: the B lists do not say.
    "negative": {"Normal": _NAN, "Pneumonia": _NAN, "COVID-19": 0.0},
}


def read_list(path: Path, split: str) -> list[Sample]:
    """Read one list: no header, four words a line, separated by blanks.

    Args:
        path: such as ``train_COVIDx9A.txt``.
        split: ``train``, ``val`` or ``test``; also the image folder.

    Returns:
        One sample per line in the order of the list, path relative and unproven.

    Raises:
        InputError: malformed list, or three-class and two-class words mixed.
    """
    samples: list[Sample] = []
    table = read_table(path, (), delimiter=" ", names=COLUMNS)
    words = tuple(CLASSES) if table.rows[0]["class"] in CLASSES else TWO_CLASSES
    if table.rows[0]["class"] not in words:
        words = (*CLASSES, *TWO_CLASSES)
    for filename, row in table.by_id("filename").items():
        if not filename.lower().endswith(SUFFIXES):
            raise row.error(f"{filename!r} is not an image name ({', '.join(SUFFIXES)})", "filename")
        word = row.choice("class", words)
        source = row.text("source")
        samples.append(
            Sample(
                id=filename,
                patient=row.text("patient_id"),
                path=Path(split, filename),
                labels=_BY_CLASS[word],
                split=split,
                meta={"row": str(row.line), "source": SOURCE_TYPOS.get(source, source)},
            )
        )
    return samples


class Covidx(Dataset):
    """COVID-19, other pneumonia and normal radiographs; 9A has 30,130 in train and 400 in test.

    The train images overlap RSNA (source ``rsna``), and patients own many images each.
    """

    name: ClassVar[str] = "covidx"
    title: ClassVar[str] = "COVIDx CXR (lists 9A or 9B)"
    licence: ClassVar[str] = "per source; see the list of sources in the COVID-Net repository"
    citation: ClassVar[str] = (
        "Wang, Lin and Wong, COVID-Net: a tailored deep convolutional neural network design for detection of "
        "COVID-19 cases from chest X-ray images, Scientific Reports 10, 19549, 2020"
    )
    access: ClassVar[str] = (
        "Get the lists at https://github.com/lindawangg/COVID-Net (labels/), "
        "and the images as its docs/COVIDx.md says"
    )
    folders: ClassVar[tuple[str, ...]] = ("covidx", "COVIDx", "covidx-cxr2")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (LISTS["train"], LISTS["test"])
    patient_field: ClassVar[str] = "patient_id"
    # Its lists name the source of each film.
    takes_films_of: ClassVar[tuple[str, ...]] = ("rsna",)
    labels: ClassVar[tuple[str, ...]] = LABELS
    checksums: ClassVar[Mapping[str, str]] = {
        "train_COVIDx9A.txt": "059ae9b3b6dce1c60b902c873482ad4bbac548549251a454b38772e9bc8a75da",
        "test_COVIDx9A.txt": "048629233e9426f1b42ce1d86e898bdb1691ff8544d81fa44b1d6a3657d88871",
    }

    def table_samples(self) -> list[Sample]:
        """Make samples of the lists alone, paths unproven, train before val before test in list order.

        Raises:
            InputError: a list is missing or malformed, or an image is in two.
        """
        samples: list[Sample] = []
        seen: dict[str, str] = {}
        for split, path in self._lists().items():
            part = read_list(path, split)
            for sample in part:
                if sample.id in seen:
                    raise InputError(
                        f"duplicate id {sample.id!r}, also in the {seen[sample.id]} list",
                        file=f"{path}:{sample.meta['row']}",
                        field="filename",
                    )
            seen |= dict.fromkeys((sample.id for sample in part), split)
            samples += part
        return samples

    def samples(self) -> list[Sample]:
        """Parse the lists and find images; see :meth:`Dataset.samples`."""
        samples = self.table_samples()
        done: list[Sample] = []
        lists = self._lists()
        for split, path in lists.items():
            part = [sample for sample in samples if sample.split == split]
            files = find_files(self.root, SUFFIXES, (split,))
            done += attach_images(part, self.root, files, path, "filename")
        if OPTIONAL not in lists:
            count = len(find_files(self.root, SUFFIXES, (OPTIONAL,)))
            self.remark(count, f"images in {OPTIONAL}/ are left out: there is no list {LISTS[OPTIONAL][-1]}")
        return sorted(done, key=lambda sample: sample.id)

    def _lists(self) -> dict[str, Path]:
        """Find the list of each part; that of validation may be missing."""
        found = {
            split: locate(self.root, names) if split == OPTIONAL else require(self.root, names, self.access)
            for split, names in LISTS.items()
        }
        return {split: path for split, path in found.items() if path is not None}


READER = Covidx
