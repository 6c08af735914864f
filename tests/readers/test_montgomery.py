"""Montgomery reader: films, masks of each lung, readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.montgomery import Montgomery
from g2d_bench.readers.registry import open_dataset

NAMES = ("MCUCXR_0001_0", "MCUCXR_0104_1")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "MontgomerySet"
    for folder in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask", "ClinicalReadings"):
        (root / folder).mkdir(parents=True)
    for name in NAMES:
        Image.new("L", (40, 30), 90).save(root / "CXR_png" / f"{name}.png")
        for place, side in enumerate(("right", "left")):
            mask = np.zeros((30, 40), np.uint8)
            mask[5:25, 5 + 20 * place : 15 + 20 * place] = 255
            Image.fromarray(mask).save(root / "ManualMask" / f"{side}Mask" / f"{name}.png")
        (root / "ClinicalReadings" / f"{name}.txt").write_text(
            "Patient's Sex: F\r\nPatient's Age: 027Y\r\nnormal  film\r\n"
        )
    (root / "ClinicalReadings" / f"{NAMES[1]}.txt").unlink()
    return root


def test_small_release(release: Path) -> None:
    dataset = open_dataset("montgomery", release.parent)
    first, second = dataset.samples()
    assert (first.id, first.patient, second.id) == (NAMES[0], NAMES[0], NAMES[1])
    assert [one.labels["Tuberculosis"] for one in (first, second)] == [0, 1]
    assert first.meta == {"sex": "F", "age": "27", "reading": "normal film"}
    assert second.meta == {}
    both, left = (dataset.read_mask(first, (30, 40), label) for label in ("Lung", "Left Lung"))
    assert both.sum() == 400
    # The patient's left lies right on the film.
    assert left[:, 20:].sum() == left.sum() == 200
    # A resized copy of the films keeps its masks.
    assert dataset.read_mask(first, (15, 20), "Lung").sum() == pytest.approx(100, abs=40)
    with pytest.raises(InputError, match="no mask of 'Heart'"):
        dataset.read_mask(first, (30, 40), "Heart")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "ManualMask/leftMask/MCUCXR_0001_0.png",
            None,
            r"Left Lung: no mask ManualMask/leftMask/MCUCXR_0001_0",
        ),
        ("ManualMask/leftMask/MCUCXR_0002_0.png", "x", r"0002_0\.png: mask without a film in CXR_png"),
        ("CXR_png/film.png", "x", r"film\.png: file name: no name such as MCUCXR_0001_0\.png"),
        ("CXR_png/MCUCXR_0001_0.jpg", "x", r"a second file for the same image"),
        ("ClinicalReadings/MCUCXR_0001_0.txt", "Sex: F", r"0001_0\.txt: reading: is not Patient's Sex"),
    ],
)
def test_malformed(release: Path, file: str, content: str | None, message: str) -> None:
    if content is None:
        (release / file).unlink()
    else:
        (release / file).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Montgomery(release).samples()
    assert "\n" not in str(caught.value)


def test_no_film(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"CXR_png: no film below\. Download the Montgomery"):
        Montgomery(tmp_path).samples()
