"""A hospital's own films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.phantom.writers.folder import FLAGS, encode_absolute
from g2d_bench.readers.base import Sample
from g2d_bench.readers.folder import Folder, read_description
from g2d_bench.readers.folder_table import understand
from g2d_bench.readers.rle import decode_absolute
from g2d_bench.readers.tables import read_table


def test_films_of_ones_own(make: Any, read: Callable[[Path], list[Sample]]) -> None:
    folder = make("folder")
    samples = read(folder)
    assert len(list((folder / "films").iterdir())) == len(samples) == make.count("folder")
    assert all(set(sample.labels) == set(FLAGS) and sample.report for sample in samples)
    dataset = Folder(folder)
    assert dataset.kind == "phantom"
    drawn = [sample for sample in samples if sample.labels[FLAGS[0]]]
    assert drawn
    assert all(dataset.read_mask(sample, (make.size, make.size), FLAGS[0]).any() for sample in drawn)
    assert any(sample.boxes for sample in samples)


def test_an_import_would_say_the_same(make: Any) -> None:
    folder = make("folder")
    _, table, written = read_description(folder / "folder.toml")
    found = understand(read_table(table, ()))
    assert (found.roles, found.flags, found.rles) == (written.roles, written.flags, written.rles)
    assert found.others == ()


def test_run_lengths_come_back() -> None:
    mask = np.random.default_rng(0).random((12, 9)) < 0.3
    assert (decode_absolute(encode_absolute(mask), (12, 9), "t:2") == mask).all()
