"""A sheet of examples: what generated radiographs look like."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.files import write_out
from g2d_bench.phantom.generate import Phantom, realise
from g2d_bench.phantom.labels import COVID, DEVICES, OBJECT
from g2d_bench.phantom.profile import PROFILES
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.scene import Finding, Scene

EXAMPLES: tuple[tuple[Finding, ...], ...] = (
    (),
    (Finding("Pneumothorax", "left", "apical", 0.6, False, "apical", 3),),
    (
        Finding("Pneumothorax", "right", "lateral", 0.8, False, "tension", 4),
        Finding(DEVICES, "right", "", 0.5, False, "chest tube", 5),
    ),
    (Finding("Effusion", "right", "basal", 0.55, False, "meniscus", 6),),
    (
        Finding("Cardiomegaly", "", "", 0.5, False, "", 7),
        Finding("Edema", "bilateral", "perihilar", 0.6, False, "", 8),
    ),
    (Finding("Consolidation", "right", "upper", 0.7, False, "lobar", 9),),
    (Finding("Pneumonia", "left", "lower", 0.6, False, "patchy", 10),),
    (Finding(COVID, "bilateral", "peripheral", 0.6, False, "", 11),),
    (Finding("Mass", "right", "mid", 0.6, False, "spiculated", 12),),
    (Finding("Nodule", "left", "upper", 0.9, False, "", 13),),
    (Finding("Atelectasis", "bilateral", "lower", 0.7, False, "plate", 14),),
    (Finding("Emphysema", "bilateral", "", 0.8, False, "", 15),),
    (Finding("Fibrosis", "bilateral", "lower", 0.8, False, "", 16),),
    (
        Finding("Hernia", "", "retrocardiac", 0.7, False, "", 17),
        Finding("Pleural_Thickening", "bilateral", "apical", 0.8, False, "", 21),
    ),
    (
        Finding(DEVICES, "left", "", 0.5, False, "pacemaker", 18),
        Finding(DEVICES, "right", "", 0.5, False, "endotracheal tube", 19),
        Finding(DEVICES, "right", "", 0.5, False, "ECG leads", 22),
    ),
    (
        Finding(OBJECT, "", "", 0.6, False, "necklace", 20),
        Finding(OBJECT, "", "", 0.8, False, "coin", 23),
        Finding(OBJECT, "", "", 0.5, False, "button", 24),
    ),
)
"""What the sixteen pictures show."""


def caption(scene: Scene) -> str:
    """Say in a line what a scene shows."""
    words = []
    for finding in scene.findings:
        name = (
            finding.pattern if finding.label in (DEVICES, OBJECT) else finding.label.replace("_", " ").lower()
        )
        name = "COVID-like" if finding.label == COVID else name
        words.append(f"{finding.side} {name}".strip() if finding.label not in (DEVICES, OBJECT) else name)
    return ", ".join(words) or "no finding"


def examples(size: int, *, seed: int = 0) -> list[Phantom]:
    """Generate the sixteen pictures of the sheet."""
    pictures = []
    for index, findings in enumerate(EXAMPLES):
        scene = sample_scene("sheet", index, seed=seed, profile=PROFILES["cxr14"])
        findings = tuple(replace(finding, key=finding.key + seed) for finding in findings)
        pictures.append(realise(replace(scene, findings=findings, decoys=(), resolved=()), size))
    return pictures


def write_sheet(path: Path, *, size: int = 320, seed: int = 0) -> Path:
    """Write a sheet of 4 by 4 generated radiographs with captions.

    Args:
        path: the PNG file.
        size: side of one picture in pixels.
        seed: of the patients.

    Returns:
        ``path``.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    margin, line = 4, 18
    height, width = size + line + margin, size + margin
    sheet: NDArray[np.uint8] = np.full((4 * height + margin, 4 * width + margin), 255, np.uint8)
    pictures = examples(size, seed=seed)
    for number, picture in enumerate(pictures):
        top, left = margin + number // 4 * height, margin + number % 4 * width
        sheet[top : top + size, left : left + size] = picture.image
    image = Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for number, picture in enumerate(pictures):
        top, left = margin + number // 4 * height, margin + number % 4 * width
        draw.text(
            (left + 2, top + size + 1), f"{picture.scene.technique.view}: {caption(picture.scene)}", 0, font
        )
    buffer = io.BytesIO()
    image.quantize(96, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    write_out(path, buffer.getvalue())
    return path
