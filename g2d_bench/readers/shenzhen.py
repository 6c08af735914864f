"""Shenzhen Hospital X-ray Set of the National Library of Medicine, and the lung masks drawn on it later."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import by_stem, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import release_folder
from g2d_bench.readers.lung_masks import FILMS, READINGS, films, read_masks
from g2d_bench.readers.tables import read_text

MASK = "_mask"
_SEX = re.compile(r"\b(female|male)", re.IGNORECASE)
_AGE = re.compile(r"(\d+)\s*(y|m|d)", re.IGNORECASE)


class Shenzhen(Dataset):
    """662 frontal radiographs (326 normal, 336 with tuberculosis), each of another patient; 566 have a mask.

    The masks are a release of their own, files ``<film>_mask.png`` anywhere below the root. A film without
    one lacks the label ``Lung``, because nobody drew it.
    """

    name: ClassVar[str] = "shenzhen"
    title: ClassVar[str] = "Shenzhen Hospital X-ray Set"
    licence: ClassVar[str] = (
        "National Library of Medicine: free for research and education, with citation; masks: CC BY-NC-SA 4.0"
    )
    citation: ClassVar[str] = (
        "Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases, "
        "Quantitative Imaging in Medicine and Surgery 2014; masks: Stirenko et al., arXiv 1803.01199"
    )
    access: ClassVar[str] = (
        "Download the Shenzhen set at "
        "https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets and the masks at "
        "https://www.kaggle.com/datasets/yoctoman/shcxr-lung-mask, into the same folder."
    )
    folders: ClassVar[tuple[str, ...]] = (
        "shenzhen",
        "ChinaSet_AllFiles",
        "Shenzhen-Hospital-CXR-Set",
    )
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((FILMS,),)
    descend: ClassVar[bool] = False
    patient_field: ClassVar[str] = "file name"
    labels: ClassVar[tuple[str, ...]] = ("Lung", "Tuberculosis")

    def samples(self) -> list[Sample]:
        """Find films, masks and readings; see :meth:`Dataset.samples`.

        Raises:
            InputError: no mask is there, a mask has no film, or there are two of one film.
        """
        name = re.compile(r"CHNCXR_\d{4}_([01])")
        place = self._below(FILMS).relative_to(self.root).as_posix()
        found = films(self.root, name, "CHNCXR_0001_0.png", self.access, place)
        masks: dict[str, str] = {}
        for path in find_files(self.root, (f"{MASK}.png",)):
            stem = by_stem(path).removesuffix(MASK)
            if stem not in found:
                raise InputError(f"mask without a film in {FILMS}", file=self.root / path)
            if stem in masks:
                raise InputError(
                    f"a second mask of the same film, beside {masks[stem]}", file=self.root / path
                )
            masks[stem] = path
        if not masks:
            raise InputError(f"no lung mask (*{MASK}.png) below. {self.access}", file=self.root)
        self.remark(len(found) - len(masks), "films have no lung mask: tasks that segment leave them out")
        return sorted(
            (
                Sample(
                    id=stem,
                    patient=stem,
                    path=self.root / path,
                    labels={"Tuberculosis": ill} | ({"Lung": 1.0} if stem in masks else {}),
                    annotation=(f"file:{masks[stem]}",) if stem in masks else (),
                    meta=self._reading(stem),
                )
                for stem, (path, ill) in found.items()
            ),
            key=lambda sample: sample.id,
        )

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Read the lung mask; see :meth:`Dataset.read_mask`."""
        if label != "Lung" or not sample.annotation:
            raise InputError(f"no mask of {label!r}", file=sample.path)
        return read_masks(self.root, sample, list(sample.annotation), shape)

    def _below(self, folder: str) -> Path:
        """Find a folder of the release, at most two levels down: the masks beside it are another release."""
        return release_folder(self.root, ((folder,),)) / folder

    @cached_property
    def _readings(self) -> Path:
        return self._below(READINGS)

    def _reading(self, stem: str) -> dict[str, str]:
        """Sex and age as far as the reading, which was typed freely, shows them."""
        path = self._readings / f"{stem}.txt"
        if not path.is_file():
            return {}
        text = " ".join(read_text(path).split())
        sex, age = _SEX.search(text), _AGE.search(text)
        years = "" if age is None else str(int(age[1]) // {"y": 1, "m": 12, "d": 365}[age[2].lower()])
        return {"sex": "" if sex is None else sex[1][0].upper(), "age": years, "reading": text}


READER = Shenzhen
