"""Boxes and masks brought to the film as it lies here, which may be a resized copy of the one drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Phrase, Sample
from g2d_bench.readers.tables import HAND_DRAWN

Size = tuple[float, float]
"""(width, height) in pixels."""


def ratios(drawn: Size, film: Size) -> tuple[float, float] | None:
    """Return what turns pixels of the picture drawn on into those of the film, along x and along y.

    A resized copy has one side of the size that was asked for, and the other rounded, or cut to whole pixels.

    Returns:
        None where the two differ in aspect, so that the film cannot be a copy of the whole picture.
    """
    scales = film[0] / drawn[0], film[1] / drawn[1]
    off = film[1] - drawn[1] * scales[0], film[0] - drawn[0] * scales[1]
    return scales if any(-1 < pixels <= 0.5 for pixels in off) else None


def fit_boxes(sample: Sample, film: Size) -> Sample:
    """Give the boxes and phrases of a sample in pixels of the film here.

    Args:
        sample: as read from the tables.
        film: of the image file.

    Returns:
        The sample with ``frame`` None. Where the film has the size of the frame, or there is none, its boxes
        are the very ones of the table.

    Raises:
        InputError: the film has another aspect than the picture drawn on; a box passes its edge by more than
            :data:`HAND_DRAWN` of its longer side (at least one pixel), or lies beyond it.
    """
    if not sample.boxes and not sample.phrases:
        return replace(sample, frame=None) if sample.frame else sample
    x = y = 1.0
    if sample.frame is not None and sample.frame != film:
        found = ratios(sample.frame, film)
        if found is None:
            raise InputError(
                f"the film has {_text(film)} pixels and the boxes are drawn on {_text(sample.frame)}: not "
                "the same aspect, so no resized copy of it",
                file=sample.path,
                field="boxes",
            )
        x, y = found

    def fit(box: Box) -> Box:
        fitted = box if x == y == 1 else Box(box.label, box.x * x, box.y * y, box.w * x, box.h * y)
        _check(fitted, sample, film)
        return fitted

    return replace(
        sample,
        boxes=tuple(fit(box) for box in sample.boxes),
        phrases=tuple(Phrase(one.text, tuple(fit(box) for box in one.boxes)) for one in sample.phrases),
        frame=None,
    )


def fit_samples(
    samples: Sequence[Sample], sizes: NDArray[np.integer]
) -> tuple[tuple[Sample, ...], list[str]]:
    """Apply :func:`fit_boxes` to all samples of a data set.

    Args:
        samples: as read from the tables.
        sizes: (H, W) of each film, shape [N, 2].

    Returns:
        The samples, and one line that counts those whose boxes were scaled, if there are any.

    Raises:
        InputError: see :func:`fit_boxes`.
    """
    fitted: list[Sample] = []
    scaled: list[tuple[Size, Size]] = []
    for sample, (rows, columns) in zip(samples, sizes.tolist(), strict=True):
        film = (columns, rows)
        if sample.boxes and sample.frame not in (None, film):
            assert sample.frame is not None
            scaled.append((sample.frame, film))
        fitted.append(fit_boxes(sample, film))
    if not scaled:
        return tuple(fitted), []
    drawn, film = scaled[0]
    line = (
        f"boxes of {len(scaled):,} images are drawn on larger or smaller films than those here and were "
        f"scaled (the first from {_text(drawn)} to {_text(film)} pixels)"
    )
    return tuple(fitted), [line]


def fit_mask(mask: NDArray[np.bool_], shape: tuple[int, int], file: Path, film: Path) -> NDArray[np.bool_]:
    """Resize a mask to its film: a pixel is inside where the mask covers at least half of it.

    Args:
        mask: shape [H, W].
        shape: (H, W) of the film.
        file: where the mask was read.
        film: the image file.

    Raises:
        InputError: mask and film differ in aspect.
    """
    if mask.shape == shape:
        return mask
    if ratios((mask.shape[1], mask.shape[0]), (shape[1], shape[0])) is None:
        raise InputError(
            f"mask has {mask.shape[1]}x{mask.shape[0]} pixels, image {film.name} has {shape[1]}x{shape[0]}",
            file=file,
        )
    import cv2

    how = cv2.INTER_AREA if shape[0] < mask.shape[0] else cv2.INTER_LINEAR
    cover = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=how)
    # As where masks are placed into squares: a mask that has pixels must not vanish.
    inside = cover >= 0.5 - 1e-4
    resized: NDArray[np.bool_] = inside if inside.any() else cover > 0
    return resized


def _check(box: Box, sample: Sample, film: Size) -> None:
    slack = max(1.0, HAND_DRAWN * max(film))
    for start, extent, side, name in ((box.x, box.w, film[0], "x"), (box.y, box.h, film[1], "y")):
        off = start < -slack or start + extent > side + slack or start >= side or start + extent <= 0
        if off:
            raise InputError(
                f"box from {start:g} to {start + extent:g} along {name} lies outside the film, which has "
                f"{_text(film)} pixels: is it a resized or cut copy?",
                file=sample.path,
                field="boxes",
            )


def _text(size: Size) -> str:
    return f"{size[0]:g}x{size[1]:g}"
