"""MS-CXR: phrases of reports and the boxes that they describe, on images of MIMIC-CXR-JPG."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import attach_images, film_at
from g2d_bench.readers.base import Box, Dataset, Phrase, Sample
from g2d_bench.readers.folders import release_folder
from g2d_bench.readers.tables import HAND_DRAWN, Row, Table, make_box, read_table, read_text

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
COLUMNS = (
    "dicom_id",
    "category_name",
    "label_text",
    "path",
    "x",
    "y",
    "w",
    "h",
    "image_width",
    "image_height",
)
BOX_COLUMNS = ("x", "y", "w", "h")
IMAGE_FOLDERS = ("mimic-cxr", "mimic-cxr-jpg", "MIMIC-CXR-JPG", "mimic-cxr-jpg-2.0.0", "mimic-cxr-jpg-2.1.0")
"""Neighbours of the root in which the images are looked for when the root has none."""

_PATH = re.compile(r"files/p\d\d/p(\d+)/s(\d+)/([^/]+)\.(?:jpg|png)")
_RELEASE = re.compile(r"MS_CXR_Local_Alignment_v([\d.]+?)\.(csv|json)(?:\.gz|\.zip)?")


@dataclass
class _Image:
    """What the rows of one image amount to."""

    row: Row
    size: tuple[float, float]
    phrases: dict[str, list[Box]]
    split: str


def find_release(root: Path) -> Path | None:
    """Find the newest alignment file, CSV before JSON of the same version."""
    found = []
    for path in root.glob("MS_CXR_Local_Alignment_v*"):
        if (match := _RELEASE.fullmatch(path.name)) and path.is_file():
            version = tuple(int(part) for part in match[1].split("."))
            found.append((version, match[2] == "csv", path))
    return max(found)[2] if found else None


def read_coco(path: Path) -> Table:
    """Read the JSON (COCO) form into rows like those of the CSV form; a row's line is that of its annotation.

    Raises:
        InputError: not JSON, a key is missing, an id is unknown or duplicate; the text names entry and key.
    """
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg}", file=f"{path}:{error.lineno}") from None
    if not isinstance(data, dict):
        raise InputError("is not a COCO file: an object is needed", file=path)
    images = _index(path, data, "images", ("id", "path", "width", "height"))
    categories = _index(path, data, "categories", ("id", "name"))
    table = Table(path, COLUMNS)
    for position, entry in enumerate(_entries(path, data, "annotations")):
        place = f"annotations[{position}]"
        _require_keys(path, place, entry, ("image_id", "category_id", "bbox", "label_text"))
        for key, known in (("image_id", images), ("category_id", categories)):
            if str(entry[key]) not in known:
                raise InputError(f"{key} {entry[key]!r} is not declared", file=path, field=f"{place}.{key}")
        image, box = images[str(entry["image_id"])], entry["bbox"]
        if not isinstance(box, list) or len(box) != 4:
            raise InputError("four numbers are needed", file=path, field=f"{place}.bbox")
        cells = [
            Path(str(image["path"])).stem,
            categories[str(entry["category_id"])]["name"],
            entry["label_text"],
            image["path"],
            *box,
            image["width"],
            image["height"],
        ]
        table.rows.append(Row(table, position + 1, [str(cell).strip() for cell in cells]))
    if not table.rows:
        raise InputError("holds no annotations", file=path)
    return table


def _entries(path: Path, data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = data.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError("a list of objects is needed", file=path, field=key)
    return entries


def _require_keys(path: Path, place: str, entry: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if key not in entry:
            raise InputError("key is missing", file=path, field=f"{place}.{key}")


def _index(path: Path, data: Mapping[str, Any], key: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    index: dict[str, dict[str, Any]] = {}
    for position, entry in enumerate(_entries(path, data, key)):
        _require_keys(path, f"{key}[{position}]", entry, keys)
        # As text: an id that is a list would not even be hashable.
        if str(entry["id"]) in index:
            raise InputError(f"duplicate id {entry['id']!r}", file=path, field=f"{key}[{position}].id")
        index[str(entry["id"])] = entry
    return index


def read_alignment(path: Path) -> list[Sample]:
    """Read an alignment file into one sample per image.

    A phrase with several boxes stands in several rows; rows are joined by image and phrase, and a box that is
    given twice for one phrase counts once.

    Args:
        path: the CSV or JSON file, plain or packed.

    Returns:
        Samples in the order of the file, path relative and unproven. ``labels`` has only the annotated
        findings, the others are unknown. The file's own ``split`` is kept in ``meta["release_split"]``: the
        authors advise against its use, so it is no split here.

    Raises:
        InputError: malformed file; the text names row and column.
    """
    table = read_coco(path) if ".json" in path.suffixes else read_table(path, COLUMNS)
    images: dict[str, _Image] = {}
    for row in table:
        dicom = row.text("dicom_id")
        match = _PATH.fullmatch(row.text("path"))
        if match is None:
            raise row.error(f"{row['path']!r} does not look like files/p10/p…/s…/….jpg", "path")
        if match[3] != dicom:
            raise row.error(f"names another image than dicom_id {dicom!r}", "path")
        label = row.choice("category_name", LABELS)
        size = (row.number("image_width"), row.number("image_height"))
        for length, column in zip(size, ("image_width", "image_height"), strict=True):
            if length <= 0:
                raise row.error(f"image size {length:g}, it must be positive", column)
        x, y, w, h = (row.number(column) for column in BOX_COLUMNS)
        box = make_box(row, label, (x, y, w, h), size, BOX_COLUMNS, HAND_DRAWN * max(size))
        split = row["split"] if "split" in table.columns else ""
        image = images.setdefault(dicom, _Image(row, size, {}, split))
        if size != image.size or row["path"] != image.row["path"]:
            raise row.error(f"size or path of {dicom!r} differs from row {image.row.line}", "path")
        boxes = image.phrases.setdefault(row.text("label_text"), [])
        if box not in boxes:
            boxes.append(box)
    return [_sample(dicom, image) for dicom, image in images.items()]


def _sample(dicom: str, image: _Image) -> Sample:
    match = _PATH.fullmatch(image.row["path"])
    assert match is not None
    boxes = tuple(box for group in image.phrases.values() for box in group)
    return Sample(
        id=dicom,
        patient=match[1],
        path=Path(image.row["path"]),
        labels={box.label: 1.0 for box in boxes},
        boxes=boxes,
        phrases=tuple(Phrase(text, tuple(group)) for text, group in image.phrases.items()),
        meta={
            "row": str(image.row.line),
            "study": match[2],
            "width": f"{image.size[0]:g}",
            "height": f"{image.size[1]:g}",
            "release_split": image.split,
        },
        frame=image.size,
    )


class MsCxr(Dataset):
    """1,162 image-sentence pairs with boxes on MIMIC-CXR images; for evaluation only."""

    name: ClassVar[str] = "ms-cxr"
    title: ClassVar[str] = "MS-CXR: Local Alignment Chest X-ray Dataset"
    licence: ClassVar[str] = "PhysioNet Credentialed Health Data License 1.5.0"
    citation: ClassVar[str] = (
        "Boecking et al., Making the Most of Text Semantics to Improve Biomedical Vision-Language "
        "Processing, ECCV 2022"
    )
    access: ClassVar[str] = (
        "Credentialed access at https://physionet.org/content/ms-cxr/; "
        "images from https://physionet.org/content/mimic-cxr-jpg/"
    )
    folders: ClassVar[tuple[str, ...]] = ("ms-cxr", "MS-CXR", "ms-cxr-1.1.0", "ms-cxr-0.1")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("MS_CXR_Local_Alignment_v*.csv", "MS_CXR_Local_Alignment_v*.json"),
    )
    patient_field: ClassVar[str] = "path"
    takes_films_of: ClassVar[tuple[str, ...]] = ("mimic-cxr",)
    labels: ClassVar[tuple[str, ...]] = LABELS

    def _table(self) -> Path:
        table = find_release(self.root)
        if table is None:
            missing = self.root / "MS_CXR_Local_Alignment_v1.1.0.csv"
            raise InputError(f"table not found (nor .json, nor another version); {self.access}", file=missing)
        return table

    @property
    def image_root(self) -> Path:
        """The folder in which ``files/p10/…`` lies: the root itself or MIMIC-CXR-JPG beside it.

        Beside it or beside its version folder, in the newest version; reports alone lie in such folders, too,
        so the one with films in it is taken.
        """
        return self._image_root(self.table_samples())

    def beside(self) -> list[Path]:
        """Return the films that lie in MIMIC-CXR-JPG; see :meth:`Dataset.beside`."""
        samples = self.table_samples()
        root = self._image_root(samples)
        if root == self.root:
            return []
        return [root / place for sample in samples if (place := film_at(root, sample.path))]

    def _image_root(self, samples: Sequence[Sample]) -> Path:
        places = [self.root]
        for beside in self.neighbourhood:
            places += [release_folder(beside / name, (("files",),)) for name in IMAGE_FOLDERS]
        places = [place for place in places if (place / "files").is_dir()]
        for place in places:
            if any(film_at(place, sample.path) for sample in samples):
                return place
        return places[-1] if places else self.root

    def table_samples(self) -> list[Sample]:
        """Make samples of the table alone, in table order, paths unproven.

        Raises:
            InputError: the table is missing or malformed.
        """
        return read_alignment(self._table())

    def samples(self) -> list[Sample]:
        """Parse the table and find its images; see :meth:`Dataset.samples`.

        Images that the table does not name are no error here: MIMIC-CXR-JPG has 377,110.
        """
        samples = self.table_samples()
        root = self._image_root(samples)
        files = [place for sample in samples if (place := film_at(root, sample.path))]
        return attach_images(samples, root, files, self._table(), "path")


READER = MsCxr
