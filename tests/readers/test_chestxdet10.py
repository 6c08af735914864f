"""ChestX-Det10 reader: the real lists, a small release, and every field that can be wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.chestxdet10 import LABELS, ChestXDet10
from g2d_bench.readers.registry import open_dataset

FILES = {
    "train.json": json.dumps(
        [
            {"file_name": "36200.png", "syms": [], "boxes": []},
            {
                "file_name": "36204.png",
                "syms": ["Nodule", "Effusion", "Nodule"],
                "boxes": [[233, 666, 258, 693], [0, 512, 512, 1024], [233, 666, 258, 693]],
            },
        ]
    ),
    "test.json": json.dumps([{"file_name": "36199.png", "syms": ["Mass"], "boxes": [[1, 2, 3, 5]]}]),
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "ChestX-Det10-Dataset"
    for name, text in FILES.items():
        folder = root / f"{name.split('.')[0]}_data"
        folder.mkdir(parents=True)
        (root / name).write_text(text)
        for entry in json.loads(text):
            Image.new("L", (256, 256)).save(folder / entry["file_name"])
    return root


def test_small_release(release: Path, own_cache: Path) -> None:
    dataset = open_dataset("chestxdet10", release.parent)
    samples = dataset.samples()
    assert [(s.id, s.patient, s.split) for s in samples] == [
        (name, name, part)
        for name, part in (("36199.png", "test"), ("36200.png", "train"), ("36204.png", "train"))
    ]
    # Corners become left, top, width, height; a box that stands twice is taken once.
    assert samples[2].boxes == (Box("Nodule", 233, 666, 25, 27), Box("Effusion", 0, 512, 512, 512))
    assert dataset.remarks == ["1 boxes stand twice on their film and are taken once"]
    assert [label for label in LABELS if samples[2].labels[label]] == ["Effusion", "Nodule"]
    assert samples[1].labels == dict.fromkeys(LABELS, 0.0)
    # Drawn on films of 1,024 pixels, whatever size these have.
    fitted = Manifest.open(dataset).samples[2].boxes
    assert fitted[1] == Box("Effusion", 0, 128, 128, 128)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train.json", None, None, r"train\.json: table not found"),
        ("test.json", "[{", "[", r"test\.json: not a JSON list of films"),
        ("test.json", "[{", '{"a": [{', r"test\.json: not a JSON list of films"),
        ("test.json", "[{", "[7, {", r"test\.json:\[0\]: '7' is no entry with file_name"),
        ("train.json", '"syms": []', '"syms": 0', r"train\.json:\[0\]: syms: is missing or of another type"),
        ("train.json", "36204.png", "../36204.png", r"train\.json:\[1\]: file_name: .* is no file name"),
        ("train.json", "36204.png", "36200.png", r"train\.json:\[1\]: file_name: duplicate id '36200\.png'"),
        ("test.json", "36199.png", "36200.png", r"test\.json:\[0\]: .* already in train"),
        ("test.json", '["Mass"]', '["Mass", "Mass"]', r"test\.json:\[0\]: boxes: 1 boxes for 2 findings"),
        ("test.json", '"Mass"', '"Masses"', r"test\.json:\[0\]: syms: unknown value 'Masses', did you mean"),
        (
            "test.json",
            "[1, 2, 3, 5]",
            "[1, 2, 3]",
            r"test\.json:\[0\]: boxes: \[1, 2, 3\] are not four corners",
        ),
        ("test.json", "[1, 2, 3, 5]", '[1, 2, "3", 5]', r"boxes: .* are not four corners"),
        ("test.json", "[1, 2, 3, 5]", "[1, 2, NaN, 5]", r"boxes: .* are not four corners"),
        ("test.json", "[1, 2, 3, 5]", "[3, 2, 1, 5]", r"boxes: .*: the second corner is not right below"),
        (
            "test.json",
            "[1, 2, 3, 5]",
            "[1, 2, 3, 1025]",
            r"boxes: box .* lies outside the image \(1024x1024\)",
        ),
        ("test_data/36199.png", None, None, r"test\}\.json: file_name: no image 36199\.png below"),
        ("train_data/9.png", "", "x", r"9\.png: image without a row in"),
    ],
)
def test_malformed(
    release: Path, spoil: Callable[..., None], file: str, old: str | None, new: str | None, message: str
) -> None:
    spoil(release / file, FILES.get(file, ""), old, new)
    with pytest.raises(InputError, match=message) as caught:
        ChestXDet10(release).samples()
    assert "\n" not in str(caught.value)


def test_real_lists(real_pack: Path) -> None:
    dataset = ChestXDet10(real_pack / "annotations" / "chestx-det10")
    samples = dataset.table_samples()
    assert Counter(sample.split for sample in samples) == {"train": 3001, "test": 542}
    assert sum(len(sample.boxes) for sample in samples) == 8338
    assert dataset.remarks == ["1 boxes stand twice on their film and are taken once"]
    assert sum(bool(sample.boxes) for sample in samples) == 2779
    counts = Counter(box.label for sample in samples for box in sample.boxes)
    assert (counts["Consolidation"], counts["Mass"], len(counts)) == (2537, 160, 10)
