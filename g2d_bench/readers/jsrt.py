"""JSRT database of films with and without a lung nodule, and the SCR masks of lungs, heart and clavicles."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import by_stem, find_files
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.folders import release_folder
from g2d_bench.readers.lung_masks import read_masks
from g2d_bench.readers.raw import SUFFIX
from g2d_bench.readers.tables import locate, read_text

ORGANS = {
    "left lung": "Left Lung",
    "right lung": "Right Lung",
    "heart": "Heart",
    "left clavicle": "Left Clavicle",
    "right clavicle": "Right Clavicle",
}
"""Folder of masks to label; the patient's sides."""
LUNGS = ("Left Lung", "Right Lung")
LISTS = ("CLNDAT_EN.txt", "CNNDAT_EN.TXT")
"""Clinical data of films with and without a nodule; optional."""
MASK_ENDINGS = (".gif", ".png")
_NAME = re.compile(r"JPC([LN])N(\d{3})")


class Jsrt(Dataset):
    """247 radiographs of as many patients, 154 of them with a lung nodule, and who drew what on them.

    Films are raw files (``.IMG``) or copies as PNG. The parts are SCR's two folds: films of odd numbers
    train, those of even numbers test (van Ginneken et al. do it both ways).
    """

    name: ClassVar[str] = "jsrt"
    title: ClassVar[str] = "JSRT database with SCR masks"
    licence: ClassVar[str] = "free for research with citation; masks: free for research, by registration"
    citation: ClassVar[str] = (
        "Shiraishi et al., Development of a digital image database for chest radiographs with and without a "
        "lung nodule, AJR 2000; masks: van Ginneken, Stegmann and Loog, Medical Image Analysis 2006"
    )
    access: ClassVar[str] = (
        "Films: http://db.jsrt.or.jp/eng.php; masks: SCR database, "
        "https://www.isi.uu.nl/Research/Databases/SCR; unpack both in one folder."
    )
    folders: ClassVar[tuple[str, ...]] = ("jsrt",)
    tables: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("All247images*", "Nodule154images*", "NonNodule93images*", "JPC*"),
    )
    descend: ClassVar[bool] = False
    patient_field: ClassVar[str] = "file name"
    labels: ClassVar[tuple[str, ...]] = ("Lung", *ORGANS.values(), "Nodule")

    def samples(self) -> list[Sample]:
        """Find films and masks; see :meth:`Dataset.samples`.

        Raises:
            InputError: a film or mask stands there twice, a mask has no film, a list names an unknown film.
        """
        films: dict[str, str] = {}
        masks: dict[str, dict[str, str]] = {}
        for path in find_files(self.root, (SUFFIX, *MASK_ENDINGS)):
            if _NAME.fullmatch(by_stem(path)) is None:
                continue
            organ = PurePosixPath(path).parent.name.lower().replace("_", " ")
            place = masks.setdefault(by_stem(path), {}) if organ in ORGANS else films
            key = ORGANS[organ] if organ in ORGANS else by_stem(path)
            if key in place:
                raise InputError(
                    f"a second file for the same image, beside {place[key]}", file=self.root / path
                )
            place[key] = path
        if not films:
            raise InputError(f"no film such as JPCLN001.IMG below. {self.access}", file=self.root)
        for stem in masks.keys() - films.keys():
            raise InputError("mask without a film", file=self.root / min(masks[stem].values()))
        if not masks:
            raise InputError(f"no mask such as fold1/masks/heart/JPCLN001.gif. {self.access}", file=self.root)
        self.remark(len(films) - len(masks), "films have no mask: tasks that segment leave them out")
        clinical = self._clinical(films)
        return [
            self._sample(stem, films[stem], masks.get(stem, {}), clinical.get(stem, {}))
            for stem in sorted(films)
        ]

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Read the mask of one organ, or of both lungs; see :meth:`Dataset.read_mask`."""
        drawn = {_organ(text): text for text in sample.annotation}
        wanted = LUNGS if label == "Lung" else (label,)
        if any(organ not in drawn for organ in wanted):
            raise InputError(f"no mask of {label!r}", file=sample.path)
        return read_masks(self.root, sample, [drawn[organ] for organ in wanted], shape)

    def _sample(self, stem: str, film: str, drawn: dict[str, str], meta: dict[str, str]) -> Sample:
        match = _NAME.fullmatch(stem)
        assert match is not None
        labels = dict.fromkeys(sorted(drawn), 1.0)
        if all(organ in drawn for organ in LUNGS):
            labels["Lung"] = 1.0
        return Sample(
            id=stem,
            patient=stem,
            path=self.root / film,
            labels={**labels, "Nodule": float(match[1] == "L")},
            split="train" if int(match[2]) % 2 else "test",
            annotation=tuple(f"file:{drawn[organ]}" for organ in sorted(drawn)),
            meta=meta,
        )

    def _clinical(self, films: dict[str, str]) -> dict[str, dict[str, str]]:
        """Sex and age by film: the word before the sex is the age, in both lists."""
        found: dict[str, dict[str, str]] = {}
        for name in LISTS:
            path = locate(release_folder(self.root, ((name,),)), (name,))
            lines = read_text(path).splitlines() if path else []
            for number, line in enumerate(lines, start=1):
                words = line.split()
                if not words:
                    continue
                stem = Path(words[0]).stem
                where = f"{path}:{number}"
                if stem not in films:
                    raise InputError(f"no film {words[0]!r}", file=where, field="file name")
                place = next((n for n, word in enumerate(words) if word.lower() in ("male", "female")), 0)
                if place < 2 or not (words[place - 1].isdigit() or words[place - 1] == "?"):
                    raise InputError("no age before Male or Female", file=where, field="age")
                found[stem] = {"sex": words[place][0].upper(), "age": words[place - 1].replace("?", "")}
        return found


def _organ(annotation: str) -> str:
    folder = PurePosixPath(annotation.removeprefix("file:")).parent.name
    return ORGANS[folder.lower().replace("_", " ")]


READER = Jsrt
