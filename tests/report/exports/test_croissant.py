"""Croissant's own library reads the description of the splits, and the lists through it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from g2d_bench.data.splits import read_id_list
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.report.exports import EXPORTS, croissant
from g2d_bench.report.exports.base import Request


def test_its_library_finds_nothing_wrong_and_reads_the_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("mlcroissant")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, data in EXPORTS["croissant"].write(Request(source="https://example.org")).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    dataset = library.Dataset(jsonld=tmp_path / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("/1.1")
    (packed,) = (shipped("tasks") / "splits").glob("siim-clean.csv.gz")
    read = [(row["siim-clean/id"], row["siim-clean/split"]) for row in dataset.records("siim-clean")]
    parts = read_id_list(packed).parts
    assert Counter(part.decode() for _, part in read) == {part: len(ids) for part, ids in parts.items()}
    assert {name.decode() for name, part in read if part == b"test"} == set(parts["test"])


def test_every_list_is_described_with_its_licence_and_no_pixel() -> None:
    files = EXPORTS["croissant"].write(Request())
    described = json.loads(files["croissant.json"])
    lists = {path.name.removesuffix(".gz") for path in (shipped("tasks") / "splits").glob("*.csv.gz")}
    assert {one["name"] for one in described["distribution"]} == lists
    assert set(files) == {"croissant.json", *(f"splits/{name}" for name in lists)}
    assert all("Licence of the images:" in one["description"] for one in described["distribution"])


def test_a_list_that_was_changed_is_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "SHA256SUMS").write_text(f"{'0' * 64}  siim-clean.csv.gz\n")
    source = shipped("tasks") / "splits" / "siim-clean.csv.gz"
    (tmp_path / "splits" / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(croissant, "shipped", lambda _: tmp_path)
    with pytest.raises(InputError, match="is not the list whose checksum"):
        croissant.write(Request())
