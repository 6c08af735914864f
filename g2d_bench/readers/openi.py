"""Open-i: the chest radiographs of Indiana University with their reports (NLMCXR, IU X-ray)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import look_alike, release_folder
from g2d_bench.readers.report_files import parse_xml, report_bytes
from g2d_bench.readers.tables import locate, read_table

_BY_HAND, _BY_PIXELS = "indiana_projections.csv", "nlmcxr_tsne_pa.csv"
_VIEWS = {"Frontal": "frontal", "Lateral": "lateral", "PA": "frontal", "L": "lateral"}
_NO_INDEX = ("No Indexing", "Technical Quality of Image Unsatisfactory")

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Normal": ("normal",),
    "Airspace Disease": ("Airspace Disease",),
    "Atelectasis": ("Pulmonary Atelectasis",),
    "Calcified Granuloma": ("Calcified Granuloma",),
    "Cardiomegaly": ("Cardiomegaly",),
    "Consolidation": ("Consolidation",),
    "Edema": ("Pulmonary Edema",),
    "Emphysema": ("Emphysema", "Pulmonary Emphysema"),
    "Fibrosis": ("Pulmonary Fibrosis",),
    "Fracture": ("Fractures, Bone",),
    "Hernia": ("Hernia, Hiatal",),
    "Infiltration": ("Infiltrate",),
    "Mass": ("Mass",),
    "Nodule": ("Nodule",),
    "Opacity": ("Opacity",),
    "Pleural Effusion": ("Pleural Effusion",),
    "Pneumonia": ("Pneumonia",),
    "Pneumothorax": ("Pneumothorax",),
    "Pulmonary Congestion": ("Pulmonary Congestion",),
    "Scar": ("Cicatrix",),
    "Support Devices": (
        "Implanted Medical Device",
        "Medical Device",
        "Catheters, Indwelling",
        "Tube, Inserted",
    ),
}
"""Label to the headings that the indexers gave by hand (``MeSH/major``), without what follows a slash."""


@dataclass(frozen=True)
class _Case:
    """One XML file: a visit with its report and its images."""

    path: Path
    id: str
    report: str
    headings: tuple[str, ...]
    images: tuple[str, ...]


class OpenI(Dataset):
    """The Indiana University collection as the National Library of Medicine hands it out.

    Layout: ``NLMCXR_reports.tgz`` unpacked (``ecgen-radiology/1.xml`` …) and ``NLMCXR_png.tgz`` or
    ``NLMCXR_dcm.tgz`` beside it, at any depth: ``CXR1_1_IM-0001-3001.png``, ``1_IM-0001-3001.dcm``, or
    ``1_IM-0001-3001.dcm.png`` as Kaggle's copy calls the same film. The XML does not say which film is the
    frontal one, and the headers of the DICOM files call two films of one visit PA more often than not. So a
    table of views is needed: ``indiana_projections.csv`` (Kaggle's ``raddar/chest-xrays-indiana-university``,
    by hand) or ``nlmcxr_tsne_pa.csv.gz`` (torchxrayvision, from the pixels; it tells half of the films).

    Every visit is of another person by its number, so the patient is the visit. Labels are the headings that
    indexers gave by hand. A visit without report keeps its images, with ``Sample.report`` empty.
    """

    name: ClassVar[str] = "openi"
    title: ClassVar[str] = "Open-i, Indiana University chest X-ray collection"
    licence: ClassVar[str] = "CC BY-NC-ND 4.0"
    citation: ClassVar[str] = (
        "Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and "
        "retrieval, JAMIA 2016"
    )
    access: ClassVar[str] = (
        "Unpack https://openi.nlm.nih.gov/imgs/collections/NLMCXR_png.tgz and NLMCXR_reports.tgz there into "
        "one folder, and add indiana_projections.csv "
        "(kaggle.com/datasets/raddar/chest-xrays-indiana-university) or nlmcxr_tsne_pa.csv.gz "
        "(github.com/mlmed/torchxrayvision, torchxrayvision/data); all are open."
    )
    folders: ClassVar[tuple[str, ...]] = ("openi", "open-i", "nlmcxr", "iu-xray")
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((_BY_HAND, _BY_PIXELS),)
    descend: ClassVar[bool] = False
    patient_field: ClassVar[str] = "uId"
    labels: ClassVar[tuple[str, ...]] = tuple(_HEADINGS)

    def samples(self) -> list[Sample]:
        """Parse the XML files and the table of views into samples, sorted by id (``CXR1_1_IM-0001-3001``).

        ``meta["view"]`` is ``frontal``, ``lateral``, or "" where the table does not tell.

        Raises:
            InputError: no report, or no image of any; an XML file does not parse or lacks its number; an
                image stands in two reports, or in two files; a view is unknown.
        """
        files: dict[str, str] = {}
        for name in find_files(self.root, (".png", ".dcm", ".jpg", ".jpeg")):
            if files.setdefault(_film(name), name) != name:
                raise InputError(
                    f"a second file for the same image, beside {files[_film(name)]}", file=self.root / name
                )
        samples, missing, first = [], 0, None
        views = self._views()
        for case, film in self._films():
            place = files.pop(_film(film), None)
            if place is None:
                missing, first = missing + 1, first or (case, film)
                continue
            samples.append(_sample(case, film, self.root / place, views))
        if not samples and first is not None:
            raise InputError(
                f"no image {first[1]} below {self.root} ({missing} of {missing} images); {self.access}",
                file=first[0].path,
                field="parentImage",
            )
        self.remark(missing, "images of the reports are not here and are left out")
        self.remark(len(files), "image files stand in no report and are left out")
        self.remark(
            sum(not sample.meta["view"] for sample in samples),
            "images have no view in the table, so that no task takes them",
        )
        return sorted(samples, key=lambda sample: sample.id)

    def table_samples(self) -> list[Sample]:
        """Make samples of reports and views alone; see :meth:`Dataset.table_samples`."""
        views = self._views()
        return [_sample(case, film, self.root / f"{film}.png", views) for case, film in self._films()]

    def _views(self) -> dict[str, str]:
        """Return view by film, of the table that is there."""
        folder = release_folder(self.root, self.tables)
        by_hand = locate(folder, (_BY_HAND,))
        if by_hand is not None:
            table, name, view = read_table(by_hand, ("filename", "projection")), "filename", "projection"
        else:
            path = locate(folder, (_BY_PIXELS,))
            if path is None:
                near = look_alike(self.root, (_BY_HAND, _BY_PIXELS))
                raise InputError(
                    "no table says which films are frontal; "
                    + (f"but {near} lies there: rename it" if near else self.access),
                    file=self.root / _BY_HAND,
                )
            table, name, view = read_table(path, ("imageid", "tsne-view")), "imageid", "tsne-view"
        return {
            _film(film): _VIEWS[row.choice(view, list(_VIEWS))] for film, row in table.by_id(name).items()
        }

    def _films(self) -> Iterator[tuple[_Case, str]]:
        """Yield each image with the case that it belongs to, in the order of the cases' numbers."""
        seen: dict[str, Path] = {}
        found = False
        cases = sorted(
            (_case(self.root / name) for name in find_files(self.root, (".xml",))),
            key=lambda case: (len(case.id), case.id),
        )
        known: dict[str, Path] = {}
        for case in cases:
            found = True
            if known.setdefault(case.id, case.path) != case.path:
                raise InputError(
                    f"{case.id} is the number of {known[case.id].name}, too", file=case.path, field="uId"
                )
            for film in case.images:
                if seen.setdefault(film, case.path) != case.path:
                    raise InputError(
                        f"{film} belongs to {seen[film].name}, too", file=case.path, field="parentImage"
                    )
                yield case, film
        if not found:
            raise InputError(f"no report (*.xml); {self.access}", file=self.root)


def _film(name: str) -> str:
    """Bring the names of one film together: ``CXR1_1_IM-0001-3001`` and ``1_IM-0001-3001.dcm.png``."""
    stem = PurePosixPath(name).name
    stem = re.sub(r"(?:\.(?:dcm|png|jpe?g))+$", "", stem, flags=re.IGNORECASE)
    return re.sub(r"^CXR(?:\d+_(?=\d+_IM))?", "", stem)


def _case(path: Path) -> _Case:
    try:
        root = parse_xml(report_bytes(path), path)
    except FileNotFoundError:
        raise InputError("no such report", file=path) from None
    number = root.find("uId")
    name = number.get("id", "") if number is not None else ""
    if not name:
        raise InputError("has no number", file=path, field="uId")
    images = tuple(image.get("id", "") for image in root.iter("parentImage"))
    if not all(images):
        raise InputError("an image has no id", file=path, field="parentImage")
    if len(set(images)) < len(images):
        raise InputError("an image stands twice", file=path, field="parentImage")
    said = [(part.get("Label", ""), "".join(part.itertext()).strip()) for part in root.iter("AbstractText")]
    headings = ((element.text or "").strip() for element in root.findall(".//MeSH/major"))
    return _Case(
        path,
        name,
        "\n\n".join(f"{label}:\n{text}" for label, text in said if text),
        tuple(heading for heading in headings if heading),
        images,
    )


def _sample(case: _Case, film: str, path: Path, views: Mapping[str, str]) -> Sample:
    words = {heading.split("/")[0].strip() for heading in case.headings}
    told = bool(words) and not words <= set(_NO_INDEX)
    labels = {label: float(not words.isdisjoint(names)) for label, names in _HEADINGS.items()}
    return Sample(
        id=film,
        patient=case.id,
        path=path,
        labels=labels if told else dict.fromkeys(_HEADINGS, math.nan),
        report=case.report,
        meta={"view": views.get(_film(film), ""), "study": case.id},
    )


READER = OpenI
