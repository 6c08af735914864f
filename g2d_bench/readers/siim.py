"""SIIM-ACR Pneumothorax Segmentation: nested DICOM folders and a run-length table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.progress import track
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import walk
from g2d_bench.readers.frames import fit_mask
from g2d_bench.readers.images import read_dicom_header
from g2d_bench.readers.rle import EMPTY, column_height, decode_relative, parse_relative
from g2d_bench.readers.tables import Row, require
from g2d_bench.readers.tables import read_table as read_csv

SIDE = 1024
"""Width and height in pixels of every released radiograph, on which the masks are drawn."""

TABLES = ("train-rle.csv", "stage_2_train.csv")
"""Names of the run-length table: of the first release, and of the second stage of the competition."""

_IMAGES = "dicom-images-train"
_ID, _PIXELS = "ImageId", "EncodedPixels"


def read_table(path: Path) -> dict[str, list[str]]:
    """Read the run-length table alone.

    Args:
        path: ``train-rle.csv`` or ``stage_2_train.csv``, plain or packed; columns ``ImageId`` and
            ``EncodedPixels`` (in the release the second name and some values start with a blank), one row per
            mask part.

    Returns:
        Image id to its run-length texts, in file order; an empty list where the table says ``-1``.

    Raises:
        InputError: the table is malformed, repeats a row, or gives an image both ``-1`` and a mask.
    """
    return {
        image: [row[_PIXELS] for row in rows if row[_PIXELS] != EMPTY] for image, rows in _parse(path).items()
    }


class Siim(Dataset):
    """The SIIM-ACR release: ``train-rle.csv`` beside ``dicom-images-train/<study>/<series>/<image>.dcm``.

    The table of the second stage also covers the test images of the first stage, which lie in
    ``dicom-images-test``; so DICOM files are looked for everywhere below the root. The release has a few
    files that its table does not know (they have no label and no sample); only ``strict`` minds them.

    Args:
        root: folder of the release.
        strict: treat an image of ``dicom-images-train`` without a row in the table as an error.
    """

    name = "siim"
    title = "SIIM-ACR Pneumothorax Segmentation"
    licence = "competition rules: academic research and education, no redistribution"
    citation = "Society for Imaging Informatics in Medicine and American College of Radiology, 2019"
    access = (
        "Get the DICOM files and train-rle.csv of the SIIM-ACR Pneumothorax Segmentation challenge from "
        "https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation."
    )
    folders = ("siim", "siim-acr", "siim-acr-pneumothorax-segmentation", "siim-acr-pneumothorax")
    tables = (TABLES,)
    patient_field = "PatientID"
    # Filice et al., Journal of Digital Imaging 2020: the films are NIH's.
    takes_films_of = ("cxr14",)
    side = SIDE
    labels = ("Pneumothorax",)
    checksums: ClassVar[Mapping[str, str]] = {
        "train-rle.csv": "4a2d2a463511c0205f46768bbce1ef0172ac02415b84d7bfc430d70c58b55b4f",
    }

    def __init__(self, root: Path, *, strict: bool = False) -> None:
        super().__init__(root)
        self.strict = strict

    @property
    def table(self) -> Path:
        """The run-length table.

        Raises:
            InputError: there is none.
        """
        return require(self.root, TABLES, self.access)

    def table_samples(self) -> list[Sample]:
        """Make samples of the table alone; see :meth:`Dataset.table_samples`.

        The table names no patients: every image counts as its own, until the headers are read.
        """
        return [
            _sample(image, rows, Path(_IMAGES, f"{image}.dcm")) for image, rows in _parse(self.table).items()
        ]

    def samples(self) -> list[Sample]:
        """Parse the table and the DICOM headers into samples, sorted by id.

        A patient is the header's PatientID; where that is empty, every image is its own patient.

        Raises:
            InputError: see :func:`read_table`; also an id without DICOM file, two files of one id, a mask
                that reaches beyond its image, or (``strict``) a training image without a row.
        """
        table = _parse(self.table)
        files = self._index(table)
        samples = []
        side, scaled = self._side, 0
        for image in track(sorted(table), "reading SIIM headers", unit="img"):
            rows = table[image]
            if image not in files:
                why = "" if files else "; other formats will not do: patients stand in the DICOM headers"
                raise rows[0].error(f"no DICOM file for image {image}{why}", _ID)
            header = read_dicom_header(files[image])
            sample = _sample(image, rows, files[image])
            if sample.annotation:
                shape = _drawn((int(header["rows"] or 0), int(header["columns"] or 0)), side)
                for row in rows:
                    parse_relative(row[_PIXELS], shape[0] * shape[1], _at(row))
                scaled += shape != (int(header["rows"] or 0), int(header["columns"] or 0))
            meta = {key: header[key] for key in ("sex", "age", "view")}
            if header["device"]:
                meta["device"] = header["device"]
            samples.append(replace(sample, patient=header["patient"] or image, meta=meta))
        self.remark(
            scaled, f"masks are drawn on {SIDE}x{SIDE} pixels and are scaled to smaller or larger films"
        )
        return samples

    @cached_property
    def _side(self) -> int | None:
        """Height of the columns in which the table's runs count, None where they do not tell."""
        return column_height(row[_PIXELS] for rows in _parse(self.table).values() for row in rows)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Unite the run-length parts of a sample; see :meth:`Dataset.read_mask`.

        Copies circulate at 128 to 512 pixels beside the table of the release, and others with a table of
        their own: the runs themselves say in columns of what height they count.
        """
        if label != "Pneumothorax":
            raise InputError(f"data set {self.name} has no masks of {label!r}; it has 'Pneumothorax'")
        drawn = shape if shape == (SIDE, SIDE) else _drawn(shape, self._side)
        mask = np.zeros(drawn, np.bool_)
        for text in sample.annotation:
            try:
                mask |= decode_relative(text, drawn, str(self.table))
            except InputError:
                # Only now is it worth reading the table again, to name the row.
                for row in _parse(self.table)[sample.id]:
                    parse_relative(row[_PIXELS], drawn[0] * drawn[1], _at(row))
                raise
        return fit_mask(mask, shape, self.table, sample.path)

    def _index(self, wanted: dict[str, list[Row]]) -> dict[str, Path]:
        """Find the DICOM file of every id in one walk."""
        found: dict[str, Path] = {}
        unknown: list[str] = []
        for folder, names in walk(self.root):
            for name in names:
                stem, _, suffix = name.rpartition(".")
                if suffix.lower() != "dcm":
                    continue
                path = Path(folder, name)
                if stem not in wanted:
                    if _IMAGES in path.relative_to(self.root).parts:
                        unknown.append(name)
                elif stem in found:
                    raise InputError(f"image {stem} exists twice, also as {found[stem]}", file=path)
                else:
                    found[stem] = path
        self.remark(len(unknown), f"films of {_IMAGES} have no row in {self.table.name} and are left out")
        if unknown and self.strict:
            raise InputError(
                f"{len(unknown)} images are not in the table, the first is {min(unknown)}",
                file=self.root / _IMAGES,
            )
        return found


def _drawn(shape: tuple[int, int], side: int | None) -> tuple[int, int]:
    """Return (H, W) of the picture on which the mask of a film was drawn.

    The release's, where the runs of the table count in columns nearer to its height than to the film's; only
    a square film can be a copy of it.
    """
    copied = side is not None and abs(side - SIDE) < abs(side - shape[0])
    return (SIDE, SIDE) if copied and abs(shape[0] - shape[1]) <= 1 else shape


def _sample(image: str, rows: list[Row], path: Path) -> Sample:
    masks = tuple(row[_PIXELS] for row in rows if row[_PIXELS] != EMPTY)
    return Sample(image, image, path, {"Pneumothorax": float(bool(masks))}, annotation=masks)


def _parse(path: Path) -> dict[str, list[Row]]:
    table: dict[str, list[Row]] = {}
    for row in read_csv(path, (_ID, _PIXELS)):
        image, text = row.text(_ID), row.text(_PIXELS)
        before = table.setdefault(image, [])
        for other in before:
            if text == other[_PIXELS]:
                raise row.error(f"repeats row {other.line}", _PIXELS)
            if EMPTY in (text, other[_PIXELS]):
                raise row.error(f"image {image} has both {EMPTY} and a mask (row {other.line})", _PIXELS)
        before.append(row)
    return table


def _at(row: Row) -> str:
    return f"{row.table.path}:{row.line}"


READER = Siim
