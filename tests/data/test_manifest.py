from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.kept import SEAL, sealed
from g2d_bench.readers.base import PHANTOM_MARKER, Box, Dataset, Phrase, Sample
from g2d_bench.readers.covid_cxr import CovidCxr


class Plain(Dataset):
    """Reads ``labels.json`` and counts how often it is asked."""

    name = "plain"
    folders = ("plain",)
    labels = ("A",)
    asked: ClassVar[int] = 0

    def samples(self) -> list[Sample]:
        type(self).asked += 1
        table = json.loads((self.root / "labels.json").read_text())
        return [
            Sample(
                id=row["id"],
                patient=row.get("patient", row["id"]),
                path=self.root / row.get("file", f"{row['id']}.png"),
                labels={"A": row.get("A", 1.0), "B": math.nan},
                split=row.get("split", ""),
                annotation=tuple(row.get("annotation", ())),
                boxes=tuple(Box(*box) for box in row.get("boxes", ())),
                phrases=(Phrase(row["phrase"], (Box("A", 1, 2, 3, 4),)),) if "phrase" in row else (),
                report=row.get("report", ""),
                meta={"sex": "F"},
            )
            for row in table
        ]


ROWS: list[dict[str, Any]] = [
    {
        "id": "b",
        "patient": "p",
        "boxes": [["A", 1, 2, 3.5, 4], ["A", 0, 0, 1, 1]],
        "phrase": "left",
        "report": "Größe",
    },
    {"id": "a", "annotation": ["1 2", "file:mask.txt"]},
]


def write(root: Path, rows: list[dict[str, Any]]) -> Plain:
    root.mkdir(exist_ok=True)
    (root / "labels.json").write_text(json.dumps(rows))
    (root / "mask.txt").write_text("mask")
    for place, name in enumerate(("a", "b")):
        if not (root / f"{name}.png").exists():
            Image.fromarray(np.full((8 + place, 7), place, np.uint8)).save(root / f"{name}.png")
    Plain.asked = 0
    return Plain(root)


@pytest.fixture
def data(tmp_path: Path) -> Plain:
    return write(tmp_path / "plain", ROWS)


def test_what_it_says(data: Plain) -> None:
    manifest = Manifest.open(data)
    assert (manifest.dataset, manifest.kind) == ("plain", "real")
    assert [s.id for s in manifest.samples] == ["a", "b"]
    assert manifest.sizes.tolist() == [[8, 7], [9, 7]]
    assert manifest.sha256[1] == hashlib.sha256((data.root / "b.png").read_bytes()).hexdigest()
    assert manifest.rows(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert manifest.rows([]).dtype == np.intp
    with pytest.raises(InputError, match="data set plain has no image 'z'"):
        manifest.rows(["a", "z"])


def test_second_opening_reads_nothing_again(data: Plain) -> None:
    first = Manifest.open(data)
    second = Manifest.open(data)
    assert Plain.asked == 1
    assert math.isnan(second.samples[0].labels["B"])
    for one, other in zip(first.samples, second.samples, strict=True):
        for name in ("id", "patient", "path", "split", "annotation", "boxes", "phrases", "report", "meta"):
            assert getattr(one, name) == getattr(other, name)
        assert one.labels["A"] == other.labels["A"]
    np.testing.assert_array_equal(first.sizes, second.sizes)
    assert (first.sha256, first.content_hash) == (second.sha256, second.content_hash)
    Manifest.open(data, refresh=True)
    assert Plain.asked == 2


def test_any_change_of_the_files_is_seen(data: Plain) -> None:
    before = Manifest.open(data).content_hash
    (data.root / "new.txt").write_text("")
    assert Manifest.open(data).content_hash == before  # read again, with the same result
    os.utime(data.root / "labels.json", ns=(1, 1))
    Manifest.open(data)
    assert Plain.asked == 3
    (data.root / ".hidden").mkdir()
    (data.root / ".hidden" / "index").write_text("")
    Manifest.open(data)
    assert Plain.asked == 3
    Image.fromarray(np.full((8, 7), 99, np.uint8)).save(data.root / "a.png")
    assert Manifest.open(data).content_hash != before


def test_phantom_marker_is_seen(data: Plain) -> None:
    before = Manifest.open(data)
    (data.root / PHANTOM_MARKER).write_text("{}")
    after = Manifest.open(data)
    assert (before.kind, after.kind) == ("real", "phantom")
    assert before.content_hash == after.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"patient": "q"},
        {"A": 0.0},
        {"A": -1.0},
        {"A": math.nan},
        {"split": "test"},
        {"annotation": ["1 2 3 4"]},
        {"boxes": [["A", 1, 2, 3, 4.5]]},
        {"boxes": [["B", 1, 2, 3, 4]]},
        {"phrase": "right"},
        {"report": "none"},
        {"file": "b.png"},
    ],
)
def test_hash_covers_everything_that_makes_a_number(tmp_path: Path, change: dict[str, object]) -> None:
    row: dict[str, Any] = {"id": "a", "boxes": [["A", 1, 2, 3, 4]], "phrase": "left"}
    one = Manifest.open(write(tmp_path / "one", [row]))
    other = Manifest.open(write(tmp_path / "two", [row | change]))
    assert one.content_hash != other.content_hash


def test_hash_does_not_depend_on_place_or_order(tmp_path: Path, data: Plain) -> None:
    swapped = [ROWS[1], ROWS[0] | {"boxes": ROWS[0]["boxes"][::-1]}]
    assert Manifest.open(write(tmp_path / "moved", swapped)).content_hash == Manifest.open(data).content_hash


def test_bytes_of_mask_files_count(data: Plain) -> None:
    before = Manifest.open(data).content_hash
    (data.root / "mask.txt").write_text("other mask")
    assert Manifest.open(data).content_hash != before


def test_corrupt_caches_are_made_again(data: Plain, own_cache: Path) -> None:
    wanted = Manifest.open(data).content_hash
    path = next((own_cache / "manifests").iterdir())
    whole = path.read_bytes()
    content = json.loads(gzip.decompress(whole[:-SEAL]))
    broken = [b"", whole[:50], b"junk", gzip.compress(b"{}"), gzip.compress(b"[]"), gzip.compress(b"\xff")]
    broken.append(whole[:60] + b"\0\0\0\0" + whole[64:])
    changes: list[dict[str, Any]] = [
        {"format": 0},
        {"samples": [[1]]},
        {"samples": []},
        {"sizes": [[1, 2, 3]]},
    ]
    # The last of them are whole, but of another version.
    broken += [
        sealed(gzip.compress(json.dumps(content | change).encode()), path.name)[:end]
        for end in (-SEAL, None)
        for change in changes
    ]
    for count, data_bytes in enumerate(broken, start=2):
        path.write_bytes(data_bytes)
        assert Manifest.open(data).content_hash == wanted
        assert Plain.asked == count
        assert path.read_bytes() == whole
    assert len(list((own_cache / "manifests").iterdir())) == 1  # no temporary files stay


def test_bad_data(data: Plain) -> None:
    write(data.root, [{"id": "a"}, {"id": "b", "file": "a.png"}, {"id": "a"}])
    with pytest.raises(InputError, match=r"a\.png: id 'a' stands twice in data set plain"):
        Manifest.open(data)
    write(data.root, [{"id": "z"}])
    with pytest.raises(InputError, match=r"z\.png: cannot be read"):
        Manifest.open(data)
    write(data.root, [{"id": "a"}])
    (data.root / "a.png").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"a\.png: not a readable image"):
        Manifest.open(data)
    shutil.rmtree(data.root)
    with pytest.raises(InputError, match="plain: cannot be read"):
        Manifest.open(data)


def test_same_name_of_data_set_at_two_places(tmp_path: Path, data: Plain) -> None:
    other = write(tmp_path / "other", [{"id": "a"}])
    Manifest.open(data)
    Manifest.open(other)
    Plain.asked = 0
    assert [len(Manifest.open(d).samples) for d in (data, other)] == [2, 1]
    assert Plain.asked == 0


def test_the_real_pack(real_pack: Path) -> None:
    data = CovidCxr(real_pack / "covid-cxr")
    manifest = Manifest.open(data)
    assert (len(manifest.samples), manifest.kind) == (165, "real")
    assert manifest.sizes.max() == 512
    assert Manifest.open(data).samples == manifest.samples


def test_links_to_nothing_and_in_circles_are_no_trouble(data: Plain) -> None:
    before = Manifest.open(data).content_hash
    (data.root / "deeper").mkdir()
    (data.root / "deeper" / "up").symlink_to(data.root)
    (data.root / "deeper" / "itself").symlink_to("itself")
    (data.root / "gone.png").symlink_to("nowhere")
    assert Manifest.open(data).content_hash == before
    assert Manifest.cached(data) is not None


def test_a_pipe_or_a_device_in_the_place_of_a_file(data: Plain) -> None:
    (data.root / "a.png").unlink()
    os.mkfifo(data.root / "a.png")
    with pytest.raises(InputError, match=r"a\.png: cannot be read: is no regular file"):
        Manifest.open(data)
    (data.root / "a.png").unlink()
    (data.root / "a.png").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"a\.png: cannot be read: is no regular file"):
        Manifest.open(data)
    Image.fromarray(np.zeros((4, 7), np.uint8)).save(data.root / "new.png")
    (data.root / "new.png").replace(data.root / "a.png")
    (data.root / "mask.txt").unlink()
    with pytest.raises(InputError, match=r"mask\.txt: cannot be read: No such file"):
        Manifest.open(data)


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    data = write(tmp_path / os.fsdecode(b"d\xe9p\xf4t"), [{"id": "a"}])
    first, second = Manifest.open(data), Manifest.open(data)
    assert (first.content_hash, first.samples[0].path) == (second.content_hash, second.samples[0].path)
    assert Plain.asked == 1
