"""The layout of Open-i."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from g2d_bench.phantom import PROFILES
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.writers.openi import HEADINGS, masked, side_view
from g2d_bench.readers.base import Sample
from g2d_bench.readers.openi import _HEADINGS


def test_openi_layout(
    make: Any, rows: Callable[[Path], list[list[str]]], read: Callable[[Path], list[Sample]]
) -> None:
    folder = make("openi")
    table = rows(folder / "indiana_projections.csv")
    assert table[0] == ["uid", "filename", "projection"]
    films = sorted(path.stem for path in (folder / "NLMCXR_png").iterdir())
    assert sorted(f"CXR{name.removesuffix('.dcm.png')}" for _, name, _ in table[1:]) == films
    assert {view for *_, view in table[1:]} == {"Frontal", "Lateral"}
    roots = [ElementTree.parse(path).getroot() for path in sorted((folder / "ecgen-radiology").iterdir())]
    assert len(roots) == make.count("openi")
    for root in roots:
        labels = [part.get("Label") for part in root.iter("AbstractText")]
        assert labels == ["COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION"]
        assert root.findall(".//MeSH/major")
    samples = read(folder)
    assert len(samples) == len(films)
    assert Counter(s.meta["view"] for s in samples)["frontal"] == make.count("openi")
    assert all(sample.report for sample in samples)
    assert "___" not in "".join(sample.report for sample in samples)
    assert {1.0, 0.0} == {sample.labels["Normal"] for sample in samples}


def test_headings_are_those_that_the_reader_knows() -> None:
    known = {name for names in _HEADINGS.values() for name in names}
    for label in ("Atelectasis", "Effusion", "Edema", "Emphysema", "Fracture", "Hernia"):
        assert HEADINGS[label] in known


def test_a_side_view_is_no_copy_of_the_frontal_film() -> None:
    film = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    side = side_view(film)
    assert side.shape == film.shape
    assert side.dtype == np.uint8
    assert abs(np.corrcoef(side.ravel().astype(float), film.ravel())[0, 1]) < 0.5


def test_some_words_are_masked_but_no_finding_and_no_side() -> None:
    scene = sample_scene("openi", 0, seed=0, profile=PROFILES["openi"])
    text = " ".join(
        ["small left pneumothorax without pleural effusion since ___ of unremarkable appearance"] * 40
    )
    words = masked(scene, text).split()
    assert masked(scene, text) == " ".join(words)
    assert "___" not in words
    assert 40 < words.count("XXXX") < 60
    for word in ("left", "pneumothorax", "without", "pleural", "effusion"):
        assert words.count(word) == 40
