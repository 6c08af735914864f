"""Which films may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from g2d_bench.data.manifest import Manifest
from g2d_bench.readers.registry import dataset_class, dataset_names, open_dataset
from g2d_bench.records.record import DataPart
from g2d_bench.report.site.films import SIDE, Films, FilmSet, boxes_of


def part(dataset: str, kind: Literal["phantom", "real"], content: str) -> DataPart:
    """Make the part of a record that names its data."""
    counts = {"train": 1, "val": 1, "test": 1}
    return DataPart(dataset=dataset, kind=kind, hash=content, split_hash="", images=counts, positive=counts)


def test_real_films_are_shown_only_where_their_licence_lets_anybody(tmp_path: Path) -> None:
    films = Films(tmp_path, tmp_path)
    closed = [name for name in dataset_names() if not dataset_class(name).films_open]
    assert {"mimic-cxr", "ms-cxr", "chexpert", "rsna", "siim", "covid-cxr"} <= set(closed)
    for name in closed:
        said = films.of(part(name, "real", "0" * 64))
        assert isinstance(said, str)
        assert "licence does not let everybody" in said


def test_films_of_other_content_are_not_those_of_the_record(
    own_cache: Path, tmp_path: Path, tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset("covid-cxr", tiny_root)
    content = Manifest.open(dataset).content_hash
    monkeypatch.setattr(type(dataset), "films_open", "CC BY, the authors")
    films = Films(tmp_path, tiny_root)
    assert "it saw covid-cxr#11111111" in str(films.of(part("covid-cxr", "real", "1" * 64)))
    assert "not here" in str(films.of(part("covid-cxr", "phantom", content)))
    assert "not here (leaderboard --data-root" in str(Films(tmp_path).of(part("covid-cxr", "real", content)))
    found = films.of(part("covid-cxr", "real", content))
    assert isinstance(found, FilmSet)
    assert found.licence == "CC BY, the authors"
    name = found.manifest.samples[0].id
    assert found.film(name).shape == (SIDE, SIDE)
    mask = found.mask(name, "Lung")
    assert mask.shape == (SIDE, SIDE)
    assert 0 < mask.mean() < 0.5
    placed = found.placed(name, np.array([[0.0, 0.0, 64.0, 32.0]]))
    assert placed.tolist() == [[0, 0, SIDE, SIDE / 2]]
    assert boxes_of(()).shape == (0, 4)


def test_nothing_is_generated_for_a_picture(tmp_path: Path) -> None:
    said = Films(tmp_path).of(part("siim", "phantom", "0" * 64))
    assert "g2d-bench data prepare siim --phantom" in str(said)
    assert list(tmp_path.iterdir()) == []
    assert Films().of(part("siim", "phantom", "0" * 64)) == ""
