"""MIMIC-CXR-JPG: chest radiographs of one hospital with their reports."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import film_at, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import release_folder
from g2d_bench.readers.report_files import report_bytes
from g2d_bench.readers.report_markup import decode
from g2d_bench.readers.tables import Row, locate, read_table, require

FRONTAL = ("PA", "AP")
"""Values of ``ViewPosition`` (``meta["view"]``) of the frontal images, the ones that pre-training uses."""

_TABLE = "mimic-cxr-2.0.0-{}.csv"
_NEWER = "mimic-cxr-2.1.0-{}.csv"
_SECTIONED = "mimic_cxr_sectioned.csv"
_REPORT_FOLDERS = ("", "reports", "mimic-cxr-reports")
_SPLITS = ("train", "validate", "test")


class MimicCxr(Dataset):
    """MIMIC-CXR-JPG with the reports of MIMIC-CXR unpacked beside the images.

    Layout: ``mimic-cxr-2.0.0-{metadata,split,chexpert}.csv`` (or ``.csv.gz``),
    ``files/p10/p10000032/s50414267/<dicom>.jpg``, and the reports as ``files/p10/p10000032/s50414267.txt``
    (at the root, or below ``reports/`` or ``mimic-cxr-reports/``, there or in ``mimic-cxr/`` beside the
    folder of the images, as PhysioNet lays it down), or all of them in ``mimic_cxr_sectioned.csv``, which is
    preferred. An image of the tables may be missing on disk, and a study may have no report: then
    ``Sample.report`` is "". The table of labels is optional.
    """

    name: ClassVar[str] = "mimic-cxr"
    title: ClassVar[str] = "MIMIC-CXR-JPG"
    licence: ClassVar[str] = "PhysioNet Credentialed Health Data License 1.5.0"
    citation: ClassVar[str] = "Johnson et al., MIMIC-CXR-JPG, arXiv 1901.07042, 2019"
    access: ClassVar[str] = (
        "Credentialed access at https://physionet.org/content/mimic-cxr-jpg/ and, for the reports,"
        " https://physionet.org/content/mimic-cxr/."
    )
    folders: ClassVar[tuple[str, ...]] = ("mimic-cxr", "mimic-cxr-jpg")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("mimic-cxr-2.*-metadata.csv",),
        ("mimic-cxr-2.*-split.csv",),
    )
    patient_field: ClassVar[str] = "subject_id"
    labels: ClassVar[tuple[str, ...]] = (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Enlarged Cardiomediastinum",
        "Fracture",
        "Lung Lesion",
        "Lung Opacity",
        "No Finding",
        "Pleural Effusion",
        "Pleural Other",
        "Pneumonia",
        "Pneumothorax",
        "Support Devices",
    )

    def samples(self) -> list[Sample]:
        """Parse the tables and read the reports; see :meth:`Dataset.samples`.

        ``labels`` are those of the CheXpert labeller on the report (1, 0, -1, NaN), ``split`` is the
        official ``train``, ``validate`` or ``test``, ``meta`` has ``view``, ``study`` and ``row``.

        Raises:
            InputError: a table or column is missing; an id is not a number or stands twice; a split or a
                label has an unknown value; an image of the metadata is not in the split table; no image is
                there; a report cannot be read or is no text.
        """
        listed = self._samples(self._sectioned(), files=True)
        films = ((sample, film_at(self.root, sample.path.relative_to(self.root))) for sample in listed)
        found = [replace(sample, path=self.root / film) for sample, film in films if film]
        if not found:
            raise InputError(f"no image {listed[0].path.relative_to(self.root)} below", file=self.root)
        self.remark(len(listed) - len(found), "images of the tables are not here and are left out")
        silent = {sample.meta["study"] for sample in found if not sample.report}
        self.remark(len(silent), "studies have no report")
        return sorted(found, key=lambda sample: sample.id)

    def beside(self) -> list[Path]:
        """Return the reports that lie outside of the root; see :meth:`Dataset.beside`."""
        outside = [Path(folder) for folder in self._report_folders if not self._is_inside(folder)]
        tables = [table for folder in outside if (table := locate(folder, (_SECTIONED,)))]
        if tables or self._sectioned_table:
            return tables
        return [folder / name for folder in outside for name in find_files(folder, (".txt",), ("files",))]

    def table_samples(self) -> list[Sample]:
        """Make samples of the tables alone, without reports; see :meth:`Dataset.table_samples`."""
        return self._samples({}, files=False)

    def _samples(self, reports: dict[str, str], *, files: bool) -> list[Sample]:
        splits = self._splits()
        labels = self._labels()
        table = read_table(self._path("metadata"), ("dicom_id", "subject_id", "study_id", "ViewPosition"))
        samples = []
        texts: dict[str, str] = {}
        for dicom, row in table.by_id("dicom_id").items():
            subject, study = _digits(row, "subject_id"), _digits(row, "study_id")
            if dicom not in splits:
                raise row.error(f"{dicom!r} is not in {_TABLE.format('split')}", "dicom_id")
            folder = f"files/p{subject[:2]}/p{subject}"
            if study not in texts:
                read_file = files and not reports
                texts[study] = self._report(f"{folder}/s{study}.txt") if read_file else reports.get(study, "")
            samples.append(
                Sample(
                    id=dicom,
                    patient=subject,
                    path=self.root / folder / f"s{study}" / f"{dicom}.jpg",
                    labels=labels.get((subject, study), {}),
                    split=splits[dicom],
                    report=texts[study],
                    meta={"view": row["ViewPosition"], "study": study, "row": str(row.line)},
                )
            )
        return samples

    def _path(self, name: str) -> Path:
        names = (_TABLE.format(name), _NEWER.format(name))
        return require(self.root, names, "it is part of every release of MIMIC-CXR-JPG")

    def _splits(self) -> dict[str, str]:
        table = read_table(self._path("split"), ("dicom_id", "split"))
        return {dicom: row.choice("split", _SPLITS) for dicom, row in table.by_id("dicom_id").items()}

    def _labels(self) -> dict[tuple[str, str], dict[str, float]]:
        path = locate(self.root, (_TABLE.format("chexpert"), _NEWER.format("chexpert")))
        if path is None:
            return {}
        table = read_table(path, ("subject_id", "study_id", *self.labels))
        # Numbered for the whole release, so a study has one row.
        return {
            (_digits(row, "subject_id"), study): {label: _label(row, label) for label in self.labels}
            for study, row in table.by_id("study_id").items()
        }

    def _sectioned(self) -> dict[str, str]:
        """Reports of the sectioned table by study number, put back under their headings."""
        path = self._sectioned_table
        if path is None:
            return {}
        reports = {}
        table = read_table(path, ("study", "impression", "findings"))
        for study, row in table.by_id("study").items():
            parts = [f"{name.upper()}:\n{row[name]}" for name in ("findings", "impression") if row[name]]
            if not parts and "last_paragraph" in table.columns:
                parts = [row["last_paragraph"]]
            reports[study.removeprefix("s")] = "\n\n".join(parts)
        return reports

    @property
    def _sectioned_table(self) -> Path | None:
        """The table of reports, of the first place that has one."""
        places = (locate(Path(folder), (_SECTIONED,)) for folder in self._report_folders)
        return next((place for place in places if place is not None), None)

    @cached_property
    def _report_folders(self) -> list[str]:
        """Folders in which ``files/p10/…`` may hold reports."""
        roots = [self.root]
        for beside in self.neighbourhood:
            other = release_folder(beside / "mimic-cxr", (("files", "mimic-cxr-reports"),))
            if other.is_dir() and not any(other.samefile(root) for root in roots):
                roots.append(other)
        inner = [root / folder for root in roots for folder in _REPORT_FOLDERS]
        return [str(folder) for folder in inner if folder.is_dir()]

    def _is_inside(self, folder: str) -> bool:
        return Path(folder).resolve().is_relative_to(self.root.resolve())

    def _report(self, relative: str) -> str:
        for folder in self._report_folders:
            path = Path(folder, relative)
            try:
                return decode(report_bytes(path))
            except FileNotFoundError:
                continue
            except ValueError as error:
                raise InputError(f"not a text file ({error})", file=path) from None
        return ""


def _digits(row: Row, column: str) -> str:
    value = row.text(column)
    if not value.isdigit():
        raise row.error(f"{value!r} is not a number", column)
    return value


def _label(row: Row, label: str) -> float:
    value = row.number(label, required=False)
    if value not in (1.0, 0.0, -1.0) and not math.isnan(value):
        raise row.error(f"{row[label]!r} is none of 1, 0, -1 or empty", label)
    return value


READER = MimicCxr
