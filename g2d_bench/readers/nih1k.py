"""A thousand films of ChestX-ray14 that lie in a public git repository, and NIH's rows for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.attach import by_stem, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.cxr14 import ENTRY_TABLES, LABELS, read_entries
from g2d_bench.readers.tables import require

ROWS = "tables/nih1k.csv"
"""Among the shipped tasks: the rows of NIH's ``Data_Entry_2017_v2020.csv`` for these films, unchanged."""
CLONE = "X-Ray Image DataSet"
FOLDERS = ("Pneumonia", "No_findings")
"""Folders of the clone that hold films of ChestX-ray14; its ``Covid-19`` holds others."""
ENDINGS = (".png", ".jpg", ".jpeg")


class Nih1k(Dataset):
    """1,000 frontal radiographs of 682 patients of ChestX-ray14: 500 with pneumonia, 500 without any finding.

    The films are found in a clone of the repository, in a full ChestX-ray14 and in any part or resized copy
    of either; rows come from the package, so that the films are all that is needed. What is not there is
    counted in a remark, and never refused. Labels are NIH's, mined from reports; folder names say nothing.
    """

    name: ClassVar[str] = "nih1k"
    title: ClassVar[str] = "A thousand open films of ChestX-ray14"
    licence: ClassVar[str] = "NIH Clinical Center: free use with citation and a link to the source"
    citation: ClassVar[str] = (
        "Wang et al., ChestX-ray8, CVPR 2017 (https://nihcc.app.box.com/v/ChestXray-NIHCC); chosen by Ozturk "
        "et al., Automated detection of COVID-19 cases, Computers in Biology and Medicine 2020"
    )
    access: ClassVar[str] = "git clone https://github.com/muhammedtalo/COVID-19 DATA_ROOT/nih1k; it is open."
    people: ClassVar[str] = "NIH"
    takes_films_of: ClassVar[tuple[str, ...]] = ("cxr14",)
    folders: ClassVar[tuple[str, ...]] = (
        "nih1k",
        "COVID-19",
        "COVID-19-master",
        "cxr14",
        "ChestX-ray14",
        "CXR8",
        "nih",
    )
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((CLONE, *FOLDERS, *ENTRY_TABLES),)
    patient_field: ClassVar[str] = "Patient ID"
    labels: ClassVar[tuple[str, ...]] = LABELS

    def beside(self) -> list[Path]:
        """Return the shipped table."""
        return [] if self.kind == "phantom" else [shipped("tasks") / ROWS]

    def table_samples(self) -> list[Sample]:
        """Make samples of the rows alone, of all films, paths unproven."""
        if self.kind == "phantom":
            return read_entries(require(self.root, ENTRY_TABLES, self.access))
        return read_entries(shipped("tasks") / ROWS)

    def samples(self) -> list[Sample]:
        """Find those of the films that are here; see :meth:`Dataset.samples`.

        Raises:
            InputError: none is here, or two files carry the name of one film.
        """
        rows = {by_stem(sample.id): sample for sample in self.table_samples()}
        found: dict[str, str] = {}
        strange = 0
        for file in find_files(self.root, ENDINGS, self._places()):
            stem = by_stem(file)
            if stem not in rows:
                strange += 1
            elif stem in found:
                raise InputError(
                    f"a second file for the same image, beside {found[stem]}", file=self.root / file
                )
            else:
                found[stem] = file
        if not found:
            raise InputError(
                f"none of the {len(rows):,} films is below. {self.access}",
                file=self.root,
                field="Image Index",
            )
        self.remark(strange, "image files are none of these films and are left out")
        self.remark(len(rows) - len(found), f"of the {len(rows):,} films are not here: a part of the set")
        return sorted(
            (replace(rows[stem], path=self.root / file) for stem, file in found.items()),
            key=lambda sample: sample.id,
        )

    def _places(self) -> tuple[str, ...]:
        """Return the folders to look in: those of a clone, or everything."""
        for above in (Path(CLONE), Path()):
            places = tuple(
                (above / name).as_posix() for name in FOLDERS if (self.root / above / name).is_dir()
            )
            if places:
                return places
        return ("",)


READER = Nih1k
