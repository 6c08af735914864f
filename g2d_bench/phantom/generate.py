"""One generated radiograph with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.phrases import phrase_of
from g2d_bench.phantom.profile import Profile
from g2d_bench.phantom.render import render
from g2d_bench.phantom.reports import Report, write_report
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.seeds import stream
from g2d_bench.readers.base import Box, Phrase


@dataclass(frozen=True)
class Phantom:
    """A generated radiograph.

    Attributes:
        image: grey values, shape [H, W].
        masks: label to the union of its findings' masks, shape [H, W]; only labels that are present.
        finding_masks: one mask per finding of the scene.
        finding_boxes: one tuple of boxes per finding: one box per side that it touches, in pixels.
        boxes: all boxes.
        phrases: one phrase per finding that is neither device nor object, with its boxes.
        report: text, sections and mentions, or None where the profile has no reports.
        lungs: side to the mask of the lung beside heart and mediastinum, shape [H, W].
        whole_lungs: side to the mask of the lung from spine to wall, behind the heart too, shape [H, W].
        heart: mask of the heart, shape [H, W].
        scene: the parameters.
    """

    image: NDArray[np.uint8]
    masks: Mapping[str, NDArray[np.bool_]]
    finding_masks: tuple[NDArray[np.bool_], ...]
    finding_boxes: tuple[tuple[Box, ...], ...]
    boxes: tuple[Box, ...]
    phrases: tuple[Phrase, ...]
    report: Report | None
    lungs: Mapping[str, NDArray[np.bool_]]
    whole_lungs: Mapping[str, NDArray[np.bool_]]
    heart: NDArray[np.bool_]
    scene: Scene


def mask_box(mask: NDArray[np.bool_], label: str) -> Box | None:
    """Return the tight box of a mask, None if it is empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not columns.size:
        return None
    left, top = int(columns[0]), int(rows[0])
    return Box(label, left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def generate(namespace: str, index: int, *, seed: int, size: int, profile: Profile) -> Phantom:
    """Generate one radiograph.

    Args:
        namespace: the data set; two namespaces never share a patient.
        index: number of the image, from 0.
        seed: of the data set.
        size: longer side of the image in pixels, 64 to 2048.
        profile: what the data set's images are like.

    Returns:
        The same bytes for the same arguments, in any process and order.

    Raises:
        InputError: a size out of range.
    """
    if not 64 <= size <= 2048:
        raise InputError(f"{size} pixels, want 64 to 2048", field="size")
    scene = sample_scene(namespace, index, seed=seed, profile=profile)
    return realise(scene, size, report=profile.report)


def realise(scene: Scene, size: int, *, report: bool = False) -> Phantom:
    """Draw and describe a given scene; see :func:`generate`."""
    drawn = render(scene, size)
    masks: dict[str, NDArray[np.bool_]] = {}
    boxes: list[tuple[Box, ...]] = []
    phrases = []
    for number, (finding, mask) in enumerate(zip(scene.findings, drawn.masks, strict=True)):
        masks[finding.label] = masks[finding.label] | mask if finding.label in masks else mask
        parts = [mask]
        if finding.side == "bilateral":
            parts = [mask.copy(), mask.copy()]
            parts[0][:, max(drawn.middle, 0) :] = False
            parts[1][:, : max(drawn.middle, 0)] = False
        found = tuple(box for part in parts if (box := mask_box(part, finding.label)) is not None)
        boxes.append(found)
        if finding.label not in (DEVICES, OBJECT) and found:
            rng = stream("phrase", scene.namespace, scene.seed, scene.index, number)
            phrases.append(Phrase(phrase_of(finding, rng), found))
    return Phantom(
        image=drawn.image,
        masks=masks,
        finding_masks=drawn.masks,
        finding_boxes=tuple(boxes),
        boxes=tuple(box for group in boxes for box in group),
        phrases=tuple(phrases),
        report=write_report(scene) if report else None,
        lungs=drawn.lungs,
        whole_lungs=drawn.whole_lungs,
        heart=drawn.heart,
        scene=scene,
    )
