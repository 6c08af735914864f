"""The layout of ChestX-Det10."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.readers.base import Sample


def test_chestxdet10_layout(make: Any, read: Callable[[Path], list[Sample]], real_pack: Path) -> None:
    import gzip

    folder = make("chestxdet10")
    for part in ("train", "test"):
        mine = json.loads((folder / f"{part}.json").read_text())
        packed = real_pack / "annotations" / "chestx-det10" / f"{part}.json.gz"
        theirs = json.loads(gzip.decompress(packed.read_bytes()))
        assert {tuple(entry) for entry in mine} == {tuple(entry) for entry in theirs}
        kinds = [
            {type(n) for entry in all_ for box in entry["boxes"] for n in box} for all_ in (mine, theirs)
        ]
        assert kinds == [{int}, {int}]
        assert {word for entry in mine for word in entry["syms"]} <= {
            word for entry in theirs for word in entry["syms"]
        }
    samples = read(folder)
    assert {sample.split for sample in samples} == {"train", "test"}
    # Findings outside of the ten are drawn, but not boxed.
    assert any(sample.boxes for sample in samples)
    assert any(not sample.boxes for sample in samples)
