"""Every test here has a cache folder of its own."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.phantom import PROFILES, Finding, Phantom, Scene, ensure, realise
from g2d_bench.phantom.look import Look
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.readers.base import Sample
from g2d_bench.readers.registry import dataset_class


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> Path:
    return own_cache


class Maker:
    """Makes small data sets, each once for all tests."""

    size = 64

    def __init__(self, root: Path) -> None:
        self.root = root

    def count(self, name: str) -> int:
        """Return how many images a data set gets."""
        return {
            "siim": 40,
            "rsna": 36,
            "cxr14": 60,
            "covid-cxr": 36,
            "object-cxr": 36,
            "chestxdet10": 48,
        }.get(name, 24)

    def __call__(self, name: str) -> Path:
        """Return the folder of a data set."""
        return ensure(name, root=self.root, count=self.count(name), size=self.size, workers=1)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Make a small data set once."""
    return Maker(tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="session")
def root(make: Maker) -> Path:
    """Where :func:`make` makes them."""
    return make.root


@pytest.fixture(scope="session")
def read() -> Callable[[Path], list[Sample]]:
    """What the reader of the real data finds in a folder."""
    return lambda folder: dataset_class(folder.name)(folder).samples()


@pytest.fixture(scope="session")
def rows() -> Callable[[Path], list[list[str]]]:
    """The cells of a table, packed or not."""

    def cells(path: Path) -> list[list[str]]:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        return list(csv.reader(text.splitlines()))

    return cells


@pytest.fixture(scope="session")
def healthy() -> Scene:
    """A patient, upright, without findings, noise, collimation or marker, on a plain film."""
    scene = sample_scene("test", 3, seed=0, profile=PROFILES["siim"])
    technique = replace(
        scene.technique,
        view="PA",
        noise=0.0,
        collimation=(0, 0, 0, 0),
        cut=(0, 0, 0, 0),
        marker="",
        zoom=1.0,
        shift=(0.0, 0.0),
        tilt=0.0,
        yaw=0.0,
        inspiration=0.3,
        look=Look(
            speed=0.8,
            toe=0.1,
            equal=0.0,
            detail=1.0,
            black=0.0,
            white=1.0,
            slant=(0.0, 0.0),
            spine=1.0,
            bones=1.0,
            lines=0.0,
            captions=(),
        ),
    )
    return replace(scene, findings=(), decoys=(), resolved=(), technique=technique)


@pytest.fixture(scope="session")
def draw() -> Callable[..., Phantom]:
    """Draw the same patient and technique with other findings: ``draw(scene, *findings, size=128)``."""

    def drawn(scene: Scene, *findings: Finding, size: int = 128) -> Phantom:
        return realise(replace(scene, findings=findings, decoys=(), resolved=()), size)

    return drawn
