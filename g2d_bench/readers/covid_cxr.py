"""COVID-19 Image Data Collection: a clone of the repository, with lung masks and lung boxes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import by_name, find_files
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.frames import fit_mask
from g2d_bench.readers.images import read_mask_image
from g2d_bench.readers.tables import Row, read_table, read_text, require

_COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes")
_ENDINGS = (".png", ".jpg", ".jpeg")
_BOXES = "annotations/imageannotation_ai_lung_bounding_boxes.json"
# Hand-drawn masks before those of a model.
_MASKS = ("annotations/v7labs-lung-masks/{stem}.png", "annotations/lungVAE-masks/{stem}_mask.png")

# The hierarchy of findings in the collection's last table ("Pneumonia/Viral/COVID-19"); its earlier tables
# name the leaf alone, which says the same.
_PARENT = {
    "Pneumonia": "",
    "Viral": "Pneumonia",
    "COVID-19": "Viral",
    "SARS": "Viral",
    "MERS-CoV": "Viral",
    "Varicella": "Viral",
    "Influenza": "Viral",
    "H1N1": "Influenza",
    "Herpes": "Viral",
    "Bacterial": "Pneumonia",
    "Streptococcus": "Bacterial",
    "Klebsiella": "Bacterial",
    "Chlamydophila": "Bacterial",
    "Legionella": "Bacterial",
    "E.Coli": "Bacterial",
    "Mycoplasma": "Bacterial",
    "Nocardia": "Bacterial",
    "Staphylococcus": "Bacterial",
    "MRSA": "Staphylococcus",
    "Fungal": "Pneumonia",
    "Pneumocystis": "Fungal",
    "Aspergillosis": "Fungal",
    "Lipoid": "Pneumonia",
    "Aspiration": "Pneumonia",
    "Tuberculosis": "",
    "ARDS": "",
    "No Finding": "",
}
_UNKNOWN = ("unknown", "todo")
_SPELLING = {finding.lower(): finding for finding in _PARENT}


@dataclass
class _Drawn:
    """The boxes of one image and the (width, height) of the picture on which they were drawn."""

    frame: tuple[float, float] | None = None
    boxes: list[Box] = field(default_factory=list)


class CovidCxr(Dataset):
    """The frontal radiographs of ieee8023/covid-chestxray-dataset.

    Labels: ``Lung`` is 1 where there is a lung mask, ``Left Lung`` and ``Right Lung`` (the patient's sides)
    where there is a box; a sample without them lacks these labels, because nobody drew them. A finding is 1
    where the table names it or something below it in the collection's hierarchy, else 0; where the table says
    ``Unknown`` or ``todo``, the sample has no finding labels.

    Rows of other modalities (CT) and other views than PA and AP are left out. Some cases were entered twice,
    under two patient numbers, with the same image files: such rows become one sample, and the two numbers
    one patient (named by the lower), also for the case's other images.
    """

    name = "covid-cxr"
    title = "COVID-19 Image Data Collection"
    licence = "per image, in the table's license column (mostly CC BY-NC-SA)"
    citation = (
        "Cohen et al., COVID-19 Image Data Collection: Prospective Predictions Are the Future, MELBA 2020"
    )
    access = "Clone https://github.com/ieee8023/covid-chestxray-dataset; it is open."
    folders = ("covid-cxr", "covid-chestxray-dataset")
    tables = (("metadata.csv",), ("images",))
    patient_field = "patientid"
    labels = ("Lung", "Left Lung", "Right Lung", *_PARENT)

    def samples(self) -> list[Sample]:
        """Parse the table, the boxes and the list of masks into samples, sorted by id (the file name).

        Raises:
            InputError: a table is malformed; an image file is missing; a finding is unknown; rows of one file
                contradict each other; a box has no image, an unknown category or no extent.
        """
        return self._samples(proven=True)

    def table_samples(self) -> list[Sample]:
        """Make samples of the table alone; masks and boxes are those that are there."""
        return self._samples(proven=False)

    def _samples(self, *, proven: bool) -> list[Sample]:
        table = require(self.root, ("metadata.csv",), self.access)
        rows: dict[str, list[Row]] = defaultdict(list)
        others, named = 0, set()
        for row in read_table(table, _COLUMNS):
            named.add(row["filename"])
            if row["modality"] == "X-ray" and row["view"].split(" ")[0] in ("PA", "AP"):
                rows[row.text("filename")].append(row)
            else:
                others += 1
        self.remark(others, f"rows of {table.name} are no frontal radiographs (CT, lateral) and are left out")
        if not rows:
            raise InputError("no frontal radiograph", file=table, field="view")
        boxes = self._boxes()
        patients = _merge_patients([row.text("patientid") for row in group] for group in rows.values())
        samples = [self._sample(rows[name], boxes.get(name, _Drawn()), patients) for name in sorted(rows)]
        for sample in samples if proven else ():
            if not sample.path.is_file():
                raise rows[sample.id][0].error(f"no image {sample.path}", "filename")
        films = find_files(self.root, _ENDINGS, ("images",)) if proven else []
        strange = sum(by_name(film) not in named for film in films)
        self.remark(strange, f"image files have no row in {table.name} and are left out")
        return samples

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Read the lung mask, or fill the boxes of one lung; see :meth:`Dataset.read_mask`."""
        if label in ("Left Lung", "Right Lung") and sample.labels.get(label) == 1:
            mask: NDArray[np.bool_] = np.zeros(shape, np.bool_)
            for box in sample.boxes:
                if box.label == label:
                    left, top = round(box.x), round(box.y)
                    mask[top : round(box.y + box.h), left : round(box.x + box.w)] = True
            return mask
        if label != "Lung" or not sample.annotation:
            raise InputError(f"no mask of {label!r}", file=sample.path)
        path = self.root / sample.annotation[0].removeprefix("file:")
        return fit_mask(read_mask_image(path), shape, path, sample.path)

    def _sample(self, group: list[Row], drawn: _Drawn, patients: dict[str, str]) -> Sample:
        row = group[0]
        for other in group[1:]:
            for column in ("finding", "view", "folder"):
                if other[column] != row[column]:
                    raise other.error(
                        f"{other[column]!r}, but {row[column]!r} in row {row.line} of the same file", column
                    )
        if row.number("age", required=False) < 0:
            raise row.error(f"age {row['age']} is negative", "age")
        path = self.root / (row["folder"] or "images") / row["filename"]
        mask = next((m for m in (m.format(stem=path.stem) for m in _MASKS) if (self.root / m).is_file()), "")
        labels = _findings(row)
        annotated = {box.label for box in drawn.boxes} | ({"Lung"} if mask else set())
        return Sample(
            id=row["filename"],
            patient=patients[row["patientid"]],
            path=path,
            labels=dict.fromkeys(sorted(annotated), 1.0) | labels,
            annotation=(f"file:{mask}",) if mask else (),
            boxes=tuple(drawn.boxes),
            # The second entry of a case was partly made to mend broken characters.
            report=min((r["clinical_notes"] for r in group), key=lambda text: text.count("\ufffd")),
            meta={
                "sex": row["sex"],
                "age": row["age"],
                "view": row["view"],
                "finding": row["finding"],
                "pneumonia": "yes" if labels.get("Pneumonia") == 1 else "no",
            },
            frame=drawn.frame,
        )

    def _boxes(self) -> dict[str, _Drawn]:
        """Lung boxes by file name, from the COCO file; none where there is no such file."""
        path = self.root / _BOXES
        if not path.is_file():
            return {}
        try:
            content = json.loads(read_text(path))
            images = {i["id"]: (str(i["file_name"]), i["width"], i["height"]) for i in content["images"]}
            sides = {category["id"]: str(category["name"]) for category in content["categories"]}
            found = [
                (int(a["id"]), a["image_id"], a["category_id"], a["bbox"]) for a in content["annotations"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"not a COCO file of boxes: {type(error).__name__} {error}", file=path
            ) from error
        boxes: dict[str, _Drawn] = {}
        seen: set[int] = set()
        for number, image, category, extent in found:
            where = f"annotation {number}"
            if number in seen:
                raise InputError(f"duplicate id {number}", file=path, field=where)
            seen.add(number)
            if image not in images:
                raise InputError(f"image {image} is not listed", file=path, field=where)
            if sides.get(category) not in ("Left Lung", "Right Lung"):
                raise InputError(f"category {category} is no lung", file=path, field=where)
            try:
                x, y, w, h = (float(value) for value in extent)
            except (TypeError, ValueError):
                raise InputError(f"bbox {extent} is not four numbers", file=path, field=where) from None
            name, width, height = images[image]
            if not all(isinstance(side, int | float) and side > 0 for side in (width, height)):
                raise InputError(f"image {image} of size {width}x{height}", file=path, field="images")
            # Drawn by hand: a box may pass the edge by a rounding error.
            inside = x >= 0 and y >= 0 and x + w <= width + 1 and y + h <= height + 1
            if not (w > 0 and h > 0 and inside):
                raise InputError(f"bbox {extent} is empty or not in {width}x{height}", file=path, field=where)
            boxes.setdefault(name, _Drawn((width, height))).boxes.append(Box(sides[category], x, y, w, h))
        return boxes


def _findings(row: Row) -> dict[str, float]:
    words = [word.strip().lower() for word in row["finding"].replace("/", ",").split(",")]
    if any(word in _UNKNOWN for word in words):
        return {}
    labels = dict.fromkeys(_PARENT, 0.0)
    for word in words:
        finding = _SPELLING[row.choice("finding", list(_SPELLING), word)]
        while finding:
            labels[finding] = 1.0
            finding = _PARENT[finding]
    return labels


def _merge_patients(groups: Iterable[list[str]]) -> dict[str, str]:
    """Join patient numbers that share a file; return each number's representative, the lowest."""
    parent: dict[str, str] = {}

    def root(number: str) -> str:
        while parent.setdefault(number, number) != number:
            number = parent[number]
        return number

    def rank(number: str) -> tuple[int, str]:
        return len(number), number

    for group in groups:
        for number in group:
            first, second = sorted((root(group[0]), root(number)), key=rank)
            parent[second] = first
    return {number: root(number) for number in list(parent)}


READER = CovidCxr
