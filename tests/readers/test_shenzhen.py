"""Shenzhen reader: films, masks for most of them, readings that were typed freely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.shenzhen import Shenzhen

READINGS = {
    "CHNCXR_0001_0": "male 45yrs\nnormal",
    "CHNCXR_0327_1": "Female , 11 months\nPTB in the left",
    "CHNCXR_0328_1": "bilateral PTB",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "ChinaSet_AllFiles"
    for folder in ("CXR_png", "ClinicalReadings", "mask/mask"):
        (root / folder).mkdir(parents=True)
    for name, text in READINGS.items():
        Image.new("L", (40, 30), 90).save(root / "CXR_png" / f"{name}.png")
        (root / "ClinicalReadings" / f"{name}.txt").write_text(text)
        if name != "CHNCXR_0327_1":
            mask = np.zeros((30, 40), np.uint8)
            mask[5:25, 5:15] = 255
            Image.fromarray(mask).save(root / "mask" / "mask" / f"{name}_mask.png")
    return root


def test_small_release(release: Path) -> None:
    dataset = open_dataset("shenzhen", release.parent)
    samples = dataset.samples()
    assert [sample.id for sample in samples] == list(READINGS)
    assert [sample.labels for sample in samples] == [
        {"Tuberculosis": 0, "Lung": 1},
        {"Tuberculosis": 1},
        {"Tuberculosis": 1, "Lung": 1},
    ]
    assert [(s.meta["sex"], s.meta["age"]) for s in samples] == [("M", "45"), ("F", "0"), ("", "")]
    assert dataset.remarks == ["1 films have no lung mask: tasks that segment leave them out"]
    assert dataset.read_mask(samples[0], (30, 40), "Lung").sum() == 200
    with pytest.raises(InputError, match="no mask of 'Lung'"):
        dataset.read_mask(samples[1], (30, 40), "Lung")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("mask/CHNCXR_0009_0_mask.png", r"0009_0_mask\.png: mask without a film in CXR_png"),
        ("mask/CHNCXR_0001_0_mask.png", r"a second mask of the same film, beside mask/"),
        ("CXR_png/CHNCXR_1_0.png", r"file name: no name such as CHNCXR_0001_0\.png"),
    ],
)
def test_malformed(release: Path, file: str, message: str) -> None:
    (release / file).write_text("x")
    with pytest.raises(InputError, match=message):
        Shenzhen(release).samples()


def test_without_masks(release: Path) -> None:
    for path in release.glob("mask/mask/*"):
        path.unlink()
    with pytest.raises(InputError, match=r"no lung mask \(\*_mask\.png\) below\. Download"):
        Shenzhen(release).samples()


def test_both_archives_unpacked_side_by_side(release: Path, tmp_path: Path) -> None:
    """As the set says how to get it: ``ChinaSet_AllFiles`` and ``mask`` in one folder."""
    root = tmp_path / "data" / "shenzhen"
    root.mkdir(parents=True)
    release.rename(root / "ChinaSet_AllFiles")
    (root / "ChinaSet_AllFiles" / "mask").rename(root / "mask")
    dataset = open_dataset("shenzhen", tmp_path / "data")
    samples = dataset.samples()
    assert [sample.labels.get("Lung") for sample in samples] == [1, None, 1]
    assert samples[0].meta["age"] == "45"
    assert samples[0].path == root / "ChinaSet_AllFiles" / "CXR_png" / "CHNCXR_0001_0.png"
    assert dataset.read_mask(samples[0], (30, 40), "Lung").sum() == 200


def test_an_empty_mask_is_no_mask(release: Path) -> None:
    path = release / "mask" / "mask" / "CHNCXR_0001_0_mask.png"
    Image.new("L", (40, 30)).save(path)
    dataset = Shenzhen(release)
    with pytest.raises(InputError, match=r"0001_0_mask\.png: is a mask with nothing in it"):
        dataset.read_mask(dataset.samples()[0], (30, 40), "Lung")
