"""Montgomery County X-ray Set of the National Library of Medicine: films with a mask of each lung."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import by_stem, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.lung_masks import FILMS, READINGS, films, read_masks
from g2d_bench.readers.tables import read_text

SIDES = {"Left Lung": "ManualMask/leftMask", "Right Lung": "ManualMask/rightMask"}
"""The patient's sides."""
_READING = re.compile(r"Patient's Sex:\s*([MFO])\s+Patient's Age:\s*0*(\d+)Y\s+(.*)", re.DOTALL)


class Montgomery(Dataset):
    """138 frontal radiographs (80 normal, 58 with tuberculosis), each of another patient."""

    name: ClassVar[str] = "montgomery"
    title: ClassVar[str] = "Montgomery County X-ray Set"
    licence: ClassVar[str] = "National Library of Medicine: free for research and education, with citation"
    citation: ClassVar[str] = (
        "Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary diseases, "
        "Quantitative Imaging in Medicine and Surgery 2014; masks: Candemir et al., IEEE TMI 2014"
    )
    access: ClassVar[str] = (
        "Download the Montgomery County set at "
        "https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets; it is open."
    )
    folders: ClassVar[tuple[str, ...]] = (
        "montgomery",
        "MontgomerySet",
        "NLM-MontgomeryCXRSet",
        "Montgomery-County-CXR-Set",
    )
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ((FILMS,), ("ManualMask",))
    patient_field: ClassVar[str] = "file name"
    labels: ClassVar[tuple[str, ...]] = ("Lung", "Left Lung", "Right Lung", "Tuberculosis")

    def samples(self) -> list[Sample]:
        """Find films, masks and readings; see :meth:`Dataset.samples`.

        Raises:
            InputError: a film lacks the mask of a lung, a mask its film, or a reading lacks sex or age.
        """
        found = films(self.root, re.compile(r"MCUCXR_\d{4}_([01])"), "MCUCXR_0001_0.png", self.access)
        masks: dict[str, dict[str, str]] = {}
        for side, folder in SIDES.items():
            for path in find_files(self.root, (".png",), (folder,)):
                if by_stem(path) not in found:
                    raise InputError(f"mask without a film in {FILMS}", file=self.root / path)
                masks.setdefault(by_stem(path), {})[side] = path
        samples = []
        for stem, (path, ill) in found.items():
            for side, folder in SIDES.items():
                if side not in masks.get(stem, {}):
                    raise InputError(f"no mask {folder}/{stem}.png", file=self.root / path, field=side)
            samples.append(
                Sample(
                    id=stem,
                    patient=stem,
                    path=self.root / path,
                    labels={"Lung": 1.0, **dict.fromkeys(SIDES, 1.0), "Tuberculosis": ill},
                    annotation=tuple(f"file:{masks[stem][side]}" for side in SIDES),
                    meta=self._reading(stem),
                )
            )
        return sorted(samples, key=lambda sample: sample.id)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Read the mask of one lung or of both; see :meth:`Dataset.read_mask`."""
        if label != "Lung" and label not in SIDES:
            raise InputError(f"no mask of {label!r}", file=sample.path)
        sides = dict(zip(SIDES, sample.annotation, strict=True))
        return read_masks(
            self.root, sample, [sides[label]] if label in SIDES else list(sides.values()), shape
        )

    def _reading(self, stem: str) -> dict[str, str]:
        path = self.root / READINGS / f"{stem}.txt"
        if not path.is_file():
            return {}
        match = _READING.match(read_text(path).strip())
        if match is None:
            message = "is not Patient's Sex (M, F or O), Patient's Age such as 027Y, and a reading"
            raise InputError(message, file=path, field="reading")
        return {"sex": match[1], "age": match[2], "reading": " ".join(match[3].split())}


READER = Montgomery
