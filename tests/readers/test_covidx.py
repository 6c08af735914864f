"""COVIDx reader: counts of the real lists, small releases, and every field that can be wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.covidx import LABELS, Covidx

TRAIN, TEST = "train_COVIDx9A.txt", "test_COVIDx9A.txt"
FILES = {
    TRAIN: (
        "3 SARS-Fig8a.jpeg pneumonia cohen\n"
        "3 SARS-Fig8b.JPG pneumonia cohen\n"
        "0004cfab 0004cfab.png normal rnsa\n"
        "419639-1 MIDRC-1.png COVID-19 ricord\n"
    ),
    TEST: "419639-2 MIDRC-2.png COVID-19 ricord\n",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        folder = tmp_path / name.split("_")[0]
        folder.mkdir()
        for line in text.splitlines():
            (folder / line.split()[1]).write_text("x")
    return tmp_path


def test_small_release(release: Path) -> None:
    samples = {sample.id: sample for sample in Covidx(release).samples()}
    assert list(samples) == sorted(
        ["SARS-Fig8a.jpeg", "SARS-Fig8b.JPG", "0004cfab.png", "MIDRC-1.png", "MIDRC-2.png"]
    )
    assert samples["SARS-Fig8a.jpeg"].patient == samples["SARS-Fig8b.JPG"].patient == "3"
    assert samples["SARS-Fig8a.jpeg"].labels == {"Normal": 0, "Pneumonia": 1, "COVID-19": 0}
    assert samples["0004cfab.png"].meta["source"] == "rsna"
    assert samples["MIDRC-2.png"].split == "test"
    assert samples["MIDRC-2.png"].path == release / "test/MIDRC-2.png"
    assert [s.meta["row"] for s in Covidx(release).table_samples()] == ["1", "2", "3", "4", "1"]


def test_two_class_lists(release: Path) -> None:
    for name in (TRAIN, TEST):
        text = FILES[name].replace("COVID-19", "positive").replace("normal", "negative")
        (release / name).unlink()
        (release / name.replace("9A", "9B")).write_text(text.replace("pneumonia", "negative"))
    samples = {sample.id: sample for sample in Covidx(release).samples()}
    assert samples["MIDRC-1.png"].labels["COVID-19"] == 1
    assert samples["0004cfab.png"].labels["COVID-19"] == 0
    assert math.isnan(samples["0004cfab.png"].labels["Normal"])


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (TRAIN, " cohen", "", r"train_COVIDx9A\.txt:1: has 3 cells, 4 are needed \(patient_id, filename"),
        (TRAIN, "Fig8a", "Fig 8a", r"train_COVIDx9A\.txt:1: has 5 cells"),
        (
            TRAIN,
            "3 SARS",
            "patient_id filename class source\n3 SARS",
            r"txt:1: patient_id: a header row among",
        ),
        (TRAIN, "normal", "normall", r"txt:3: class: unknown value 'normall', did you mean 'normal'"),
        (TRAIN, "normal", "negative", r"txt:3: class: unknown value 'negative'"),
        (TRAIN, "pneumonia", "pneumo", r"txt:1: class: unknown value 'pneumo', did you mean 'pneumonia'"),
        (
            TRAIN,
            "Fig8b.JPG",
            "Fig8a.jpeg",
            r"txt:2: filename: duplicate id 'SARS-Fig8a\.jpeg', first on row 1",
        ),
        (TRAIN, "0004cfab.png", "0004cfab", r"txt:3: filename: '0004cfab' is not an image name"),
        (TRAIN, "3 SARS", "nan SARS", r"txt:1: patient_id: is empty"),
        (TRAIN, "cohen", "nan", r"txt:1: source: is empty"),
        (TRAIN, "cohen", "coh\udce9n", r"txt:1: source: byte 0xe9"),
        (TRAIN, None, None, r"train_COVIDx9A\.txt: table not found"),
        (TEST, None, None, r"test_COVIDx9A\.txt: table not found"),
        (TEST, "MIDRC-2", "MIDRC-1", r"test_COVIDx9A\.txt:1: filename: duplicate id 'MIDRC-1\.png', also in"),
        ("train/MIDRC-1.png", None, None, r"train_COVIDx9A\.txt:4: filename: no image train/MIDRC-1\.png"),
        ("test/x.png", "", "x", r"test/x\.png: image without a row in test_COVIDx9A"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        Covidx(release).samples()
    assert "\n" not in str(caught.value)


def test_real_counts(real_pack: Path) -> None:
    samples = Covidx(real_pack / "annotations/covidx").table_samples()
    counts: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        counts.update((sample.split, label) for label in LABELS if sample.labels[label] == 1)
    assert counts == {
        ("train", "COVID-19"): 16490,
        ("train", "Normal"): 8085,
        ("train", "Pneumonia"): 5555,
        ("test", "COVID-19"): 200,
        ("test", "Normal"): 100,
        ("test", "Pneumonia"): 100,
    }
    sources = Counter(s.meta["source"] for s in samples if s.split == "train")
    assert sources["rsna"] == 13389 + 199
    assert "rnsa" not in sources
    assert {s.patient for s in samples if s.split == "train"}.isdisjoint(
        s.patient for s in samples if s.split == "test"
    )
