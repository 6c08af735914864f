"""Fixtures that several test modules share."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed import CARD, SPLIT
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

from g2d_bench.cards.io import load_card
from g2d_bench.cards.task import TaskCard
from g2d_bench.data.splits import write_id_list
from g2d_bench.metrics.segmentation import all_empty, segmentation_metrics
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import DataPart, EncoderPart, Record
from g2d_bench.records.selection import Found, select
from g2d_bench.records.signature import NUMBERS
from g2d_bench.records.store import Store

# No test may reach a model hub; this must stand before transformers is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"
# Beside other workers each has one core; this must stand before torch is first imported, here and below.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


WriteDicom = Callable[..., Path]


@pytest.fixture(scope="session")
def real_pack() -> Path:
    """The folder with real radiographs and annotation tables, outside of the project."""
    default = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("G2D_BENCH_REAL", default)).resolve()
    if not (folder / "covid-cxr").is_dir():
        pytest.skip(f"real sample pack not found at {folder} (set G2D_BENCH_REAL)")
    return folder


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a covid-cxr release of 40 tiny films, each with a lung mask; a few seconds' work."""
    import csv

    from PIL import Image

    root = tmp_path_factory.mktemp("data")
    folder = root / "covid-cxr"
    for name in ("images", "annotations/v7labs-lung-masks"):
        (folder / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    table = []
    for n in range(40):
        up, left, radius = 20 + generator.integers(0, 24, 2).tolist()[0], 20 + n % 24, 8 + n % 6
        mask = (rows - up) ** 2 + (columns - left) ** 2 < radius**2
        film = np.where(mask, 60, 180) + generator.normal(0, 12, (64, 64))
        Image.fromarray(film.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"f{n}.png")
        Image.fromarray((255 * mask).astype(np.uint8)).save(
            folder / "annotations" / "v7labs-lung-masks" / f"f{n}.png"
        )
        table.append([str(n), "M", "50", "COVID-19", "PA", "X-ray", "images", f"f{n}.png", "note"])
    with (folder / "metadata.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes"]
        )
        writer.writerows(table)
    return root


@pytest.fixture(scope="session")
def quick_protocols(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the protocol `quick`: `clean` with a handful of steps."""
    folder = tmp_path_factory.mktemp("protocols")
    text = (Path(__file__).resolve().parents[1] / "tasks" / "protocols" / "clean.toml").read_text()
    for key, value in {"epochs": 1, "min_steps": 6, "max_steps": 6, "validate_every": 3}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (folder / "quick.toml").write_text(text)
    return folder


@pytest.fixture(scope="session")
def write_dicom() -> WriteDicom:
    """Write a DICOM file; keyword arguments set or (None) remove header elements."""

    def write(path: Path, pixels: NDArray[Any], *, jpeg: bytes | None = None, **elements: object) -> Path:
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        header.Rows, header.Columns = pixels.shape[:2]
        header.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
        header.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
        if pixels.ndim == 3:
            header.PlanarConfiguration = 0
        bits = pixels.dtype.itemsize * 8
        header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
        header.PixelRepresentation = int(pixels.dtype.kind == "i")
        header.PixelData = encapsulate([jpeg]) if jpeg else pixels.tobytes()
        for name, value in elements.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        header.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that no other test and no user has."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def spoil() -> Callable[..., None]:
    """Change one thing of a release: ``spoil(path, text, old, new)``; without ``old`` or ``new``, it goes.

    ``text`` is what the file holds ("" for one that is to be added or overwritten whole).
    """

    def change(path: Path, text: str, old: str | None, new: str | None) -> None:
        if old is None or new is None:
            path.unlink()
            return
        assert old in text
        path.write_bytes(text.replace(old, new, 1).encode(errors="surrogateescape"))

    return change


SEGMENTATION = ("dice_positive", "iou_positive", "specificity_empty", "dice_legacy")


def segmentation(
    quality: float, *, images: int = 60, seed: int = 0, positive: float = 0.5, noise: int = 0
) -> dict[str, np.ndarray[Any, Any]]:
    """Make pixel counts of a predictor whose Dice on positives is about ``quality``.

    Difficulty belongs to the image, as it does in life; half as many patients as images.
    """
    images_rng, own = np.random.default_rng(7), np.random.default_rng([seed, noise])
    true = np.where(images_rng.random(images) < positive, images_rng.integers(200, 900, images), 0)
    ease = images_rng.normal(0, 0.08, images) + own.normal(0, 0.02, images)
    predicted = np.where(true > 0, true, own.random(images) > quality) * np.where(true > 0, 1, 40)
    common = np.where(true > 0, np.clip(quality + ease, 0, 1) * true, 0)
    return {
        "id": np.array([f"image-{n:03d}" for n in range(images)]),
        "patient": np.array([f"patient-{n // 2:03d}" for n in range(images)]),
        "intersection": common.astype(np.int64),
        "predicted": predicted.astype(np.int64),
        "true": true.astype(np.int64),
        "mask": np.zeros((images, 128), np.uint8),
    }


def make_record(cell: Cell, predictions: dict[str, np.ndarray[Any, Any]], **changes: Any) -> Record:
    """Make a record whose metrics are those of the predictions."""
    names = changes.pop("metrics_names", SEGMENTATION)
    data_kind = changes.pop("data_kind", "phantom")
    version = changes.pop("version", "1.0")
    weights = changes.pop("weights", "f" * 64)
    counts = [predictions[name] for name in ("intersection", "predicted", "true")]
    test = len(predictions["true"])
    # Generated films are no real ones, and their hash is another one.
    data = {"phantom": "bbbbbbbb", "real": "abababab"}[data_kind]
    fields: dict[str, Any] = {
        "key": key_of({"cell": cell.as_dict(), "data": data_kind, "version": version}),
        "signature": f"{cell.task}@{version}#aaaa|{data_kind}:siim#{data}|split:clean#cccccccc"
        f"|{cell.protocol}@1.0#dddd|n{NUMBERS}",
        "kind": "segmentation",
        "cell": cell,
        "data": DataPart(
            dataset="siim",
            kind=data_kind,
            hash=data * 8,
            split_hash="cccccccc" * 8,
            images={"train": max(1, round(200 * cell.fraction)), "val": 40, "test": test},
            positive={"train": 1, "val": 20, "test": int((predictions["true"] > 0).sum())},
        ),
        "encoder": EncoderPart(card_hash="e" * 64, weights=weights),
        "metrics": segmentation_metrics(*counts, names=names),
        "references": {"all-empty": all_empty(predictions["true"], names=names)},
        "versions": {"g2d-bench": "0.1.0", "torch": "2.15.0"},
        "commit": "0123456789ab",
        "hardware": {"machine": "x86_64", "accelerator": "none"},
        "seconds": {"train and predict": 3.5},
        "peak_memory_mb": 700,
        "command": "g2d-bench run --task siim-seg",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Record(**(fields | changes))


class Folder:
    """A results folder that fills itself with cells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root)

    def add(
        self,
        encoder: str = "g2d",
        quality: float = 0.6,
        *,
        task: str = "siim-seg",
        fraction: float = 0.01,
        seed: int = 0,
        protocol: str = "clean",
        images: int = 60,
        noise: int | None = None,
        shots: int = 0,
        positive: float = 0.5,
        **changes: Any,
    ) -> Found:
        """Write one record with its predictions."""
        cell = Cell(task=task, fraction=fraction, protocol=protocol, seed=seed, encoder=encoder, shots=shots)
        noise = zlib.crc32(encoder.encode()) if noise is None else noise
        predictions = segmentation(quality, images=images, seed=seed, noise=noise, positive=positive)
        version = changes.get("version", "1.0")
        record = make_record(cell, predictions, **changes)
        path = self.store.path(cell, kind=record.data.kind, version=version, key=record.key)
        return Found(self.store.save(path, record, predictions), path)

    def grid(
        self,
        qualities: dict[str, float],
        fractions: tuple[float, ...] = (0.01,),
        seeds: int = 3,
        step: float = 0.01,
        **more: Any,
    ) -> None:
        """Write encoders at fractions and seeds; quality grows with the fraction and varies with the seed."""
        for encoder, quality in qualities.items():
            for n, fraction in enumerate(fractions):
                for seed in range(seeds):
                    value = quality + 0.05 * n + step * (seed - 1)
                    self.add(encoder, value, fraction=fraction, seed=seed, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty results folder."""
    return Folder(tmp_path / "runs")


@pytest.fixture
def other(tmp_path: Path) -> Folder:
    """Another empty results folder."""
    return Folder(tmp_path / "other")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The commands of this part, called as a user does; returns click's result."""
    from click.testing import CliRunner

    from g2d_bench.cli.main import main

    monkeypatch.chdir(tmp_path)
    for name in ("G2D_BENCH_RESULTS", "G2D_BENCH_DATA", "G2D_BENCH_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def edit() -> Callable[[Path, Callable[[dict[str, Any]], None]], None]:
    """Change a record's JSON as a careless or dishonest hand would."""

    def change(path: Path, how: Callable[[dict[str, Any]], None]) -> None:
        raw = json.loads(path.read_text())
        how(raw)
        path.write_text(json.dumps(raw))

    return change


class Page(HTMLParser):
    """Reads the tables below each section, the links and all text; ranked groups are articles."""

    EMPTY = ("meta", "line", "circle", "path", "input", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, list[list[str]]] = {}
        self.groups: list[list[list[str]]] = []
        self.links: list[str] = []
        self.lines: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.depth: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._rows = self.sections.setdefault(given.get("id") or "overview", [])
        elif tag == "article":
            self._rows = []
            self.groups.append(self._rows)
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "a":
            self.links.append(given["href"] or "")
        elif tag == "line" and "article" not in self.depth:
            self.lines.append(given)
        if tag not in self.EMPTY:
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.EMPTY:
            return
        assert self.depth.pop() == tag, "tags close in order"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if {"td", "th"} & set(self.depth) and "svg" not in self.depth and self._rows:
            row = self._rows[-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())

    def rows(self, section: str) -> dict[str, list[str]]:
        """Return the rows of a section's table by their first cell."""
        return {row[0]: row[1:] for row in self.sections[section]}


@pytest.fixture
def made(folder: Folder, cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Page]:
    """Make the leaderboard of the folder and read its page."""

    def make(*options: str) -> Page:
        result = cli("leaderboard", "--results", folder.root, "--out", "site", *options)
        assert result.exit_code == 0, result.output
        return Page((tmp_path / "site" / "index.html").read_text())

    return make


@pytest.fixture
def several(folder: Any) -> list[Path]:
    """Three encoders with two seeds of one signature."""
    folder.grid({"g2d": 0.6, "mgca": 0.5, "random": 0.4}, seeds=2)
    return [found.path for found in select(folder.root) if found.path is not None]


@pytest.fixture
def listed_card(tmp_path: Path) -> TaskCard:
    """A card beside its own list."""
    write_id_list(tmp_path / "splits" / "own.csv.gz", SPLIT)
    (tmp_path / "own.toml").write_text(CARD)
    return load_card(tmp_path / "own.toml", TaskCard)
