"""JSRT reader: raw films, GIF masks, two folds, two lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.jsrt import Jsrt
from g2d_bench.readers.registry import open_dataset

NAMES = ("JPCLN001", "JPCLN002", "JPCNN002")
ORGANS = ("left lung", "right lung", "heart", "left clavicle", "right clavicle")
LISTS = {
    "CLNDAT_EN.txt": "JPCLN001.IMG\t5\t15\t53\tMale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\r\n"
    "JPCLN002.IMG\t5\t30\t?\tFemale\t1614\t1090\tmalignant\tl.lower lobe\tlung cancer\r\n\r\n",
    "CNNDAT_EN.TXT": "JPCNN002.IMG\t61\tFemale\tnon-nodule\r\n",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "jsrt"
    (root / "All247images").mkdir(parents=True)
    for name in NAMES:
        (root / "All247images" / f"{name}.IMG").write_bytes(bytes(2 * 64 * 64))
        if name == "JPCNN002":
            continue
        fold = root / "scratch" / f"fold{1 if name.endswith('1') else 2}" / "masks"
        for place, organ in enumerate(ORGANS):
            (fold / organ).mkdir(parents=True, exist_ok=True)
            mask = np.zeros((32, 32), np.uint8)
            mask[4:8, 4 * place : 4 * place + 4] = 255
            Image.fromarray(mask).save(fold / organ / f"{name}.gif")
    for file, text in LISTS.items():
        (root / file).write_bytes(text.encode())
    return root


def test_small_release(release: Path) -> None:
    dataset = open_dataset("jsrt", release.parent)
    samples = dataset.samples()
    assert [(s.id, s.patient, s.split) for s in samples] == [
        ("JPCLN001", "JPCLN001", "train"),
        ("JPCLN002", "JPCLN002", "test"),
        ("JPCNN002", "JPCNN002", "test"),
    ]
    assert [s.meta for s in samples] == [
        {"sex": "M", "age": "53"},
        {"sex": "F", "age": ""},
        {"sex": "F", "age": "61"},
    ]
    drawn = {"Lung", "Left Lung", "Right Lung", "Heart", "Left Clavicle", "Right Clavicle"}
    assert samples[0].labels == {**dict.fromkeys(drawn, 1), "Nodule": 1}
    assert samples[2].labels == {"Nodule": 0}
    assert dataset.remarks == ["1 films have no mask: tasks that segment leave them out"]
    assert dataset.read_image(samples[0]).shape == (64, 64)
    # Masks are drawn on half the size of the films.
    lungs, heart = (dataset.read_mask(samples[0], (64, 64), label) for label in ("Lung", "Heart"))
    assert lungs[8:16, :16].all()
    assert heart[8:16, 16:24].all()
    assert not (lungs & heart)[:, :15].any()
    with pytest.raises(InputError, match="no mask of 'Heart'"):
        dataset.read_mask(samples[2], (64, 64), "Heart")


def test_lists_are_optional_and_films_may_be_copies(release: Path) -> None:
    for file in LISTS:
        (release / file).unlink()
    film = release / "All247images" / "JPCLN001.IMG"
    Image.new("L", (64, 64)).save(film.with_suffix(".png"))
    film.unlink()
    samples = Jsrt(release).samples()
    assert samples[0].path.suffix == ".png"
    assert samples[0].meta == {}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("CLNDAT_EN.txt", "JPCLN009.IMG 5 15 53 Male", r"EN\.txt:1: file name: no film 'JPCLN009\.IMG'"),
        ("CLNDAT_EN.txt", "\nJPCLN001.IMG 5 15 x Male", r"EN\.txt:2: age: no age before Male or Female"),
        ("CNNDAT_EN.TXT", "JPCNN002.IMG 61", r"EN\.TXT:1: age: no age before Male or Female"),
        ("scratch/fold1/masks/heart/JPCLN003.gif", "x", r"JPCLN003\.gif: mask without a film"),
        ("scratch/fold2/masks/heart/JPCLN001.gif", "x", r"a second file for the same image"),
    ],
)
def test_malformed(release: Path, file: str, content: str, message: str) -> None:
    (release / file).write_text(content)
    with pytest.raises(InputError, match=message):
        Jsrt(release).samples()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no film such as JPCLN001\.IMG below\. Films: http"):
        Jsrt(tmp_path).samples()
    (tmp_path / "JPCLN001.IMG").write_bytes(bytes(8192))
    with pytest.raises(InputError, match=r"no mask such as fold1/masks/heart/JPCLN001\.gif"):
        Jsrt(tmp_path).samples()


def test_films_may_lie_deeper_than_masks_and_lists(release: Path) -> None:
    (release / "JSRT").mkdir()
    (release / "All247images").rename(release / "JSRT" / "All247images")
    (release / "Clinical_Information").mkdir()
    for file in LISTS:
        (release / file).rename(release / "Clinical_Information" / file)
    samples = open_dataset("jsrt", release.parent).samples()
    assert [sample.labels.get("Heart") for sample in samples] == [1, 1, None]
    assert samples[0].meta == {"sex": "M", "age": "53"}
