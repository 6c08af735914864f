"""The layout of JSRT with SCR's masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.phantom.generate import generate
from g2d_bench.phantom.profile import profile_of
from g2d_bench.readers.base import Sample
from g2d_bench.readers.jsrt import Jsrt


def test_jsrt_layout(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("jsrt")
    samples = read(folder)
    assert {sample.path.suffix for sample in samples} == {".IMG"}
    assert {sample.split for sample in samples} == {"train", "test"}
    for fold, part in (("fold1", "train"), ("fold2", "test")):
        names = {path.stem for path in (folder / "scratch" / fold / "masks" / "heart").iterdir()}
        assert names == {sample.id for sample in samples if sample.split == part}
    rows = [(folder / name).read_text().split("\n") for name in ("CLNDAT_EN.txt", "CNNDAT_EN.TXT")]
    assert [len(of[0].split("\t")) for of in rows] == [10, 4]
    assert all(sample.meta["age"].isdigit() for sample in samples)


def test_no_grey_value_is_lost_in_the_raw_film(make: Any) -> None:
    dataset = Jsrt(make("jsrt"))
    sample = dataset.samples()[0]
    index = int(sample.id[-3:]) - 1
    drawn = generate("jsrt", index, seed=0, size=make.size, profile=profile_of("jsrt"))
    assert (dataset.read_image(sample) == drawn.image).all()
    assert (dataset.read_mask(sample, (64, 64), "Heart") == drawn.heart).all()
    both = np.logical_or(*drawn.lungs.values())
    assert (dataset.read_mask(sample, (64, 64), "Lung") == both).all()
