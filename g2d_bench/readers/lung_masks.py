"""What sets of films with drawn lungs share: films known by their names, masks in files of their own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import by_stem, find_files
from g2d_bench.readers.base import Sample
from g2d_bench.readers.frames import fit_mask
from g2d_bench.readers.images import read_mask_image

FILMS = "CXR_png"
READINGS = "ClinicalReadings"
"""Folders of both tuberculosis sets of the National Library of Medicine."""


def films(
    root: Path, name: re.Pattern[str], example: str, access: str, folder: str = FILMS
) -> dict[str, tuple[str, float]]:
    """Return the films of one of NLM's two tuberculosis sets.

    Args:
        root: the release.
        name: what a film's name must be; its group is the last digit, which tells tuberculosis.
        example: such a name, for the error.
        access: how to get the release, for the error.
        folder: where the films lie below the root.

    Returns:
        Stem to path below the root, and 1 for tuberculosis.

    Raises:
        InputError: there is none, one stands there twice, or is named otherwise.
    """
    found: dict[str, tuple[str, float]] = {}
    for path in find_files(root, (".png", ".jpg", ".jpeg"), (folder,)):
        stem = by_stem(path)
        match = name.fullmatch(stem)
        if match is None:
            raise InputError(f"no name such as {example}", file=root / path, field="file name")
        if stem in found:
            raise InputError(f"a second file for the same image, beside {found[stem][0]}", file=root / path)
        found[stem] = (path, float(match[1]))
    if not found:
        raise InputError(f"no film below. {access}", file=root / folder)
    return found


def read_masks(root: Path, sample: Sample, files: list[str], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the union of mask files of a sample, brought to the size of its film, [H, W]."""
    mask: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    for file in files:
        path = root / file.removeprefix("file:")
        drawn = read_mask_image(path)
        if not drawn.any():
            raise InputError("is a mask with nothing in it", file=path)
        mask |= fit_mask(drawn, shape, path, sample.path)
    return mask
