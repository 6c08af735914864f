"""Somebody's own films: a folder of PNG, JPEG or DICOM files with one table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.readers.base import PHANTOM_MARKER, Dataset, Sample
from g2d_bench.readers.folder_places import Places, direct_places
from g2d_bench.readers.folder_rows import boxes_in_pixels, boxes_of, decode_runs, patient_parts
from g2d_bench.readers.folder_table import PARTS, Meaning, flag, names_in
from g2d_bench.readers.folders import walk
from g2d_bench.readers.frames import fit_mask
from g2d_bench.readers.images import read_dicom_header, read_mask_image, read_size, whole_years
from g2d_bench.readers.rle import EMPTY
from g2d_bench.readers.tables import MISSING, Row, Table, read_table
from g2d_bench.safe_files import LARGEST_TOML, parse_toml

DESCRIPTION = "folder.toml"
"""What `g2d-bench data import` writes: where films and table lie, and what the columns mean."""
_FILE, _RUNS, _RELATIVE = "file:", "runs:", "relative runs:"


class Folder(Dataset):
    """Films of one's own, as ``folder.toml`` describes them; see :class:`~.folder_table.Meaning`.

    A row is a film; where boxes have rows of their own, the rows of a film repeat what else they say. Where
    the table names no patient, or no sex, age or view, the header of a DICOM film does.
    """

    name: ClassVar[str] = "folder"
    title: ClassVar[str] = "Your own films"
    licence: ClassVar[str] = "your own"
    citation: ClassVar[str] = "none"
    access: ClassVar[str] = "Describe your films by `g2d-bench data import DIR --csv FILE`."
    folders: ClassVar[tuple[str, ...]] = ("folder",)
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((DESCRIPTION,),)
    patient_field: ClassVar[str] = "patient"
    labels: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def described(self) -> tuple[Path, Path, Meaning]:
        """Folder of the films, table, and what its columns mean.

        Raises:
            InputError: the description is missing or damaged.
        """
        return read_description(self.root / DESCRIPTION)

    @property
    def kind(self) -> str:
        """``phantom`` where the films are generated ones, ``real`` otherwise."""
        return "phantom" if self._markers else "real"

    @property
    def _markers(self) -> list[Path]:
        films, table, _ = self.described
        places = dict.fromkeys((self.root, films, films.parent, table.parent))
        return [marker for place in places if (marker := place / PHANTOM_MARKER).is_file()]

    def table(self) -> Table:
        """Read the table."""
        _, path, meaning = self.described
        columns = {*meaning.roles.values(), *meaning.flags, *meaning.masks.values(), *meaning.rles.values()}
        return read_table(path, sorted(columns))

    def beside(self) -> list[Path]:
        """Return films, masks, table and what marks them as generated, where they lie outside of the root.

        Raises:
            InputError: the table cannot be read.
        """
        films, table, meaning = self.described
        walked = {Path(folder, name) for folder, names in walk(films) for name in names}
        found = {*walked, *self._markers}
        rows = self.table()
        for column in (image := meaning.roles["image"], *meaning.masks.values()):
            for name in {row[column] for row in rows} - MISSING:
                if column != image or films / name not in walked:
                    found |= {place.resolve() for place in direct_places(films, table.parent, name)}
        # What an import wrote may lie in the folder of the films.
        inside = self.root.resolve()
        return [table, *sorted(path for path in found if not path.resolve().is_relative_to(inside))]

    def samples(self) -> list[Sample]:
        """Parse the table and find the films; see :meth:`Dataset.samples`.

        Raises:
            InputError: a film is missing or two have its name; rows of one film contradict each other; a
                label, box, mask, part or age cannot be read; nothing names the patient.
        """
        return self._samples(proven=True)

    def table_samples(self) -> list[Sample]:
        """Make samples of the table alone; see :meth:`Dataset.table_samples`."""
        return self._samples(proven=False)

    def _samples(self, *, proven: bool) -> list[Sample]:
        films, _, meaning = self.described
        table = self.table()
        groups: dict[str, list[Row]] = {}
        for row in table:
            groups.setdefault(row.text(meaning.roles["image"]), []).append(row)
        places = Places(films, table.path.parent) if proven else None
        # All films first: none of them is a mask.
        paths = {
            name: places.film(group[0], meaning.roles["image"]) if places else films / name
            for name, group in groups.items()
        }
        aside: Counter[str] = Counter()
        samples = [self._sample(name, group, paths[name], places, aside) for name, group in groups.items()]
        patient_parts(samples, table.path)
        boxes_in_pixels(samples, table.path, meaning.roles.get("x", meaning.roles.get("boxes", "")))
        if places:
            aside["films below the folder stand in no row and are left out"] = places.left()
        for text, count in aside.items():
            self.remark(count, text)
        return sorted(samples, key=lambda sample: sample.id)

    def _sample(
        self, name: str, group: list[Row], path: Path, places: Places | None, aside: Counter[str]
    ) -> Sample:
        _, _, meaning = self.described
        row, roles = group[0], meaning.roles
        for other in group[1:]:
            self._same(row, other)
        header = self._header(path) if places else {}
        labels = {column: flag(row, column) for column in meaning.flags}
        if "labels" in roles:
            shown = names_in(row[roles["labels"]])
            labels |= {
                label: math.nan if shown is None else float(label in shown) for label in meaning.listed
            }
        drawn = [box for one in group for box in boxes_of(one, meaning)]
        if drawn and places:
            rows, columns = read_size(path)
            drawn = [box for one in group for box in boxes_of(one, meaning, (columns, rows))]
        boxes = tuple(dict.fromkeys(drawn))
        aside["boxes stand twice on their film and are taken once"] += len(drawn) - len(boxes)
        annotation = tuple(self._annotation(row, label, places) for label in meaning.drawn)
        regions = {label: bool(text) for label, text in zip(meaning.drawn, annotation, strict=True)}
        if meaning.has_boxes:
            labels_of_boxes = {meaning.region} - {""} or set(self.box_labels)
            for label in labels_of_boxes:
                regions[label] = regions.get(label, False) or any(box.label == label for box in boxes)
        for label, there in regions.items():
            said = labels.setdefault(label, float(there))
            if there and said == 0:
                raise row.error(f"{label!r} is 0, but the film has a region of it", label)
            if label in meaning.drawn and not there and said == 1:
                raise row.error(f"{label!r} is 1, but the film has no mask of it", label)
        return Sample(
            id=name,
            patient=self._patient(row, header, proven=places is not None),
            path=path,
            labels=labels,
            split=self._part(row),
            annotation=annotation,
            boxes=boxes,
            report=self._report(row),
            meta={
                "sex": self._said(row, "sex", header),
                "age": self._age(row, header, aside),
                "view": self._said(row, "view", header),
                **({"device": row[roles["device"]]} if "device" in roles else {}),
                "row": str(row.line),
            },
        )

    @cached_property
    def box_labels(self) -> tuple[str, ...]:
        """Labels of the boxes, in alphabetical order."""
        _, _, meaning = self.described
        found = {box.label for row in self.table() for box in boxes_of(row, meaning)}
        return tuple(sorted(found))

    def _same(self, first: Row, other: Row) -> None:
        """Refuse rows of one film that differ in anything but a box."""
        _, _, meaning = self.described
        own = {meaning.roles.get(role) for role in ("x", "y", "w", "h", "x2", "y2", "region")}
        if "x" not in meaning.roles:
            raise other.error(f"duplicate id, first on row {first.line}", meaning.roles["image"])
        columns = {*meaning.roles.values(), *meaning.flags, *meaning.masks.values(), *meaning.rles.values()}
        for column in sorted(columns - own):
            if first[column] != other[column]:
                raise other.error(
                    f"{other[column]!r}, but {first[column]!r} in row {first.line} of the same film", column
                )

    def _header(self, path: Path) -> dict[str, str]:
        _, _, meaning = self.described
        needed = {"patient", "sex", "age", "view"} - meaning.roles.keys()
        if not needed or path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            return {}
        return read_dicom_header(path)

    def _patient(self, row: Row, header: Mapping[str, str], *, proven: bool) -> str:
        _, _, meaning = self.described
        if "patient" in meaning.roles:
            return row.text(meaning.roles["patient"])
        if not proven:
            return row[meaning.roles["image"]]
        if not header.get("patient"):
            what = "neither the table nor the DICOM header says" if header else "no column says"
            raise row.error(f"{what} whose film it is; name one: --column patient=NAME", "patient")
        return header["patient"]

    def _part(self, row: Row) -> str:
        _, _, meaning = self.described
        if "split" not in meaning.roles:
            return ""
        word = row.text(meaning.roles["split"]).lower()
        return PARTS[row.choice(meaning.roles["split"], list(PARTS), word)]

    def _report(self, row: Row) -> str:
        _, _, meaning = self.described
        if "report" in meaning.roles:
            return row[meaning.roles["report"]]
        said = [
            (part, row[meaning.roles[part]]) for part in ("findings", "impression") if part in meaning.roles
        ]
        return "\n\n".join(f"{part.upper()}:\n{text}" for part, text in said if text not in MISSING)

    def _said(self, row: Row, key: str, header: Mapping[str, str]) -> str:
        _, _, meaning = self.described
        if key not in meaning.roles:
            return header.get(key, "")
        return row[meaning.roles[key]]

    def _age(self, row: Row, header: Mapping[str, str], aside: Counter[str]) -> str:
        """Return an age in years, whole ones where it is written as DICOM does; "" where it is none."""
        _, _, meaning = self.described
        if "age" not in meaning.roles:
            return header.get("age", "")
        text = row[meaning.roles["age"]]
        if text in MISSING:
            return ""
        try:
            age = row.number(meaning.roles["age"])
        except InputError:
            years = whole_years(text)
            aside["ages cannot be read and are left empty"] += not years
            return years
        if age < 0:
            raise row.error(f"age {text} is negative", meaning.roles["age"])
        return f"{age:g}"

    def _annotation(self, row: Row, label: str, places: Places | None) -> str:
        """Return what a mask is made from: ``file:`` and a path, ``runs:`` and run lengths, or nothing.

        How they count stands there, too, for the hash of the data: the same numbers draw another mask.
        """
        _, _, meaning = self.described
        column = meaning.masks.get(label) or meaning.rles[label]
        text = " ".join(row[column].split())
        if text in MISSING or (label in meaning.rles and text == EMPTY):
            return ""
        if label in meaning.rles:
            return (_RELATIVE if meaning.rle == "relative" else _RUNS) + text
        return f"{_FILE}{places.mask(row, column) if places else text}"

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Decode a mask, or fill the boxes of a label that has none; see :meth:`Dataset.read_mask`.

        Raises:
            InputError: a mask file or run lengths cannot be read or do not fit the film; the text names row
                and column.
        """
        _, table, meaning = self.described
        if label not in meaning.drawn:
            if not any(box.label == label for box in sample.boxes):
                raise InputError(f"the film has no region of {label!r}", file=sample.path)
            mask: NDArray[np.bool_] = np.zeros(shape, np.bool_)
            for box in (box for box in sample.boxes if box.label == label):
                rows = slice(round(box.y), round(box.y + box.h))
                mask[rows, round(box.x) : round(box.x + box.w)] = True
            return mask
        text = sample.annotation[meaning.drawn.index(label)]
        where = f"{table}:{sample.meta['row']}"
        if not text.startswith(_FILE):
            runs = text.removeprefix(_RELATIVE).removeprefix(_RUNS) or EMPTY
            return decode_runs(runs, shape, meaning.rle, where, meaning.rles[label])
        path = self.root / text.removeprefix(_FILE)
        try:
            return fit_mask(read_mask_image(path), shape, path, sample.path)
        except InputError as error:
            raise InputError(str(error), file=where, field=meaning.masks[label]) from None


def read_description(path: Path) -> tuple[Path, Path, Meaning]:
    """Read what an import wrote.

    Raises:
        InputError: it is missing, no TOML, or lacks something.
    """
    try:
        said = parse_toml(read_regular(path, LARGEST_TOML), path)
        films, table = ((path.parent / said[key]).resolve() for key in ("films", "table"))
        meaning = Meaning(
            roles=_words(said["columns"]),
            flags=tuple(map(str, said.get("flags", ()))),
            listed=tuple(map(str, said.get("listed", ()))),
            masks=_words(said.get("masks", {})),
            rles=_words(said.get("rles", {})),
            region=str(said.get("region", "")),
            rle=str(said.get("rle", "absolute")),
        )
        if "image" not in meaning.roles or meaning.rle not in ("absolute", "relative"):
            raise KeyError("columns.image" if "image" not in meaning.roles else "rle")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}; {Folder.access}", file=path) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"is not what an import wrote ({error}); {Folder.access}", file=path) from None
    if not films.is_dir():
        raise InputError(f"the films were in {films}, which is no folder; import them again", file=path)
    return films, table, meaning


def _words(table: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in table.items()}


READER = Folder
