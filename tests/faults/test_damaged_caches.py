"""Every kind of kept file, damaged in every way: found, said in one line, and made again to the last byte."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from g2d_bench.data.cache import MaskCache, PixelCache
from g2d_bench.data.manifest import Manifest
from g2d_bench.encoders.row_table import RowTable
from g2d_bench.metrics.spec import Predictions
from g2d_bench.phantom import ensure
from g2d_bench.pretrain.pairs import Pair, PairData, Read
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.records.draws import DrawCache, draw

Damage = Callable[[bytes, random.Random], bytes]


def changed(data: bytes, start: int, stop: int, chance: random.Random) -> bytes:
    """Give every byte of a stretch another value."""
    return data[:start] + bytes(byte ^ chance.randrange(1, 256) for byte in data[start:stop]) + data[stop:]


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """Zero a stretch that is not zero already."""
    start = chance.choice([place for place, byte in enumerate(data) if byte])
    stop = min(len(data), start + chance.randrange(1, 5000))
    return data[:start] + bytes(stop - start) + data[stop:]


def somewhere(count: int) -> Damage:
    """Change up to so many bytes from a random place on."""

    def damaged(data: bytes, chance: random.Random) -> bytes:
        start = chance.randrange(len(data))
        return changed(data, start, start + chance.randint(-(-count // 25), count), chance)

    return damaged


def one_bit(data: bytes, chance: random.Random) -> bytes:
    """Turn one bit over."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def swapped(data: bytes, chance: random.Random) -> bytes:
    """Exchange two stretches of equal length."""
    for _ in range(1000):
        length = chance.randrange(1, max(2, min(4096, len(data) // 3)))
        one = chance.randrange(len(data) - 2 * length + 1)
        two = chance.randrange(one + length, len(data) - length + 1)
        first, second = data[one : one + length], data[two : two + length]
        if first != second:
            return data[:one] + second + data[one + length : two] + first + data[two + length :]
    raise AssertionError("nothing to swap")


DAMAGES: dict[str, Damage] = {
    "zeroed": zeroed,
    "all zero": lambda data, _: bytes(len(data)),
    "one bit": one_bit,
    "one byte": somewhere(1),
    "many bytes": somewhere(5000),
    "head": lambda data, chance: changed(data, 0, 60, chance),
    "tail": lambda data, chance: changed(data, len(data) - 30, len(data), chance),
    "cut off": lambda data, chance: data[: chance.randrange(len(data))],
    "one byte short": lambda data, _: data[:-1],
    "longer": lambda data, chance: data + chance.randbytes(chance.randrange(1, 5000)),
    "longer by zeros": lambda data, chance: data + bytes(chance.randrange(1, 5000)),
    "twice": lambda data, _: data + data,
    "swapped": swapped,
    "empty": lambda data, _: b"",
    "text": lambda data, _: b"<!DOCTYPE html>\n" * 9,
}
"""Name to what it makes of a file's bytes; every one changes something."""


def damage(path: Path, name: str, seed: int) -> None:
    """Damage a file in place, as a disk would: it stays the same file."""
    before = path.read_bytes()
    after = DAMAGES[name](before, random.Random(f"{path.name} {name} {seed}"))
    assert after != before
    with path.open("r+b") as stream:
        stream.write(after)
        stream.truncate()


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


COUNT = 60
"""Images: with 200 px each, tables of several blocks."""
SIZE = 200

Content = Callable[[Path], Any]
"""Opens what is kept in a cache folder, making what is missing, and returns all of it."""


class Films(Dataset):
    """Images of noise; masks are the bright pixels."""

    name = "films"
    folders = ("films",)
    labels = ("A",)

    def samples(self) -> list[Sample]:
        return [Sample(path.stem, path.stem, path, {"A": 1.0}) for path in sorted(self.root.glob("*.png"))]

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        bright: NDArray[np.bool_] = self.read_image(sample) > 128
        return bright


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Films, Films]:
    """Two data sets that differ in their pixels only."""
    made = []
    for seed in (0, 1):
        root = tmp_path_factory.mktemp("data") / "films"
        root.mkdir()
        noise = np.random.default_rng(seed)
        for number in range(COUNT):
            film = noise.integers(0, 256, (SIZE, SIZE - number), dtype=np.uint8)
            Image.fromarray(film).save(root / f"f{number:02}.png", compress_level=0)
        made.append(Films(root))
    return made[0], made[1]


def pixels(films: Films, _: int) -> Content:
    return lambda cache: PixelCache.open(films, Manifest.open(films), SIZE).pixels.tobytes()


def masks(films: Films, _: int) -> Content:
    return lambda cache: MaskCache.open(films, Manifest.open(films), "A", SIZE).bits.tobytes()


def manifest(films: Films, _: int) -> Content:
    def content(_: Path) -> Any:
        found = Manifest.open(films)
        samples = [(one.id, one.patient, one.path, one.labels) for one in found.samples]
        return found.content_hash, samples, found.sha256, found.sizes.tolist()

    return content


def rows(_: Films, seed: int) -> Content:
    values = torch.randn(COUNT, 3, 97, generator=torch.Generator().manual_seed(seed))

    def content(cache: Path) -> Any:
        wanted = np.arange(COUNT)
        with RowTable(cache / "features", f"key{seed}", COUNT, (3, 97)) as table:
            missing = table.missing(wanted)
            if missing.size:
                table.write(missing, values[missing])
                table.seal(missing)
            return table.read(wanted).tobytes()

    return content


def draws(_: Films, seed: int) -> Content:
    noise = np.random.default_rng(seed)
    predictions: Predictions = {
        "id": np.arange(80),
        "patient": np.arange(80) // 2,
        "scores": noise.random((80, 1)),
        "targets": (noise.random((80, 1)) > 0.5).astype(float),
        "label": np.array(["A"]),
        "thresholds": np.array([0.5]),
    }

    def content(_: Path) -> Any:
        points = {"auroc": 0.5, "accuracy": 0.4}
        found = DrawCache().get(f"{seed}" * 64, 200, points, lambda metric: draw(metric, predictions, 200))
        return {name: None if one is None else one.tobytes() for name, one in found.items()}

    return content


def pairs(films: Films, _: int) -> Content:
    images = sorted(films.root.glob("*.png"))
    read = Read("here", "real", tuple(Pair(path.stem, path.stem, path, ("All fine.",)) for path in images))

    def content(_: Path) -> Any:
        data = PairData(read, 96)
        return data.hash, data.images.tobytes()

    return content


KINDS = {one.__name__: one for one in (pixels, masks, manifest, rows, draws, pairs)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("G2D_BENCH_CACHE", str(folder))
    yield folder
    left = [path for path in folder.rglob(".*") if path.is_file()]
    assert not left, "claims and drafts must go"


@pytest.mark.parametrize("what", KINDS)
def test_damage_is_found_said_and_mended(
    what: str, films: tuple[Films, Films], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = KINDS[what](films[0], 0)
    wanted = content(cache)
    kept = {path: path.read_bytes() for path in files_below(cache)}
    assert kept
    capsys.readouterr()
    assert content(cache) == wanted
    assert not capsys.readouterr().err, "what is whole needs no word"
    for path in kept:
        for name in DAMAGES:
            damage(path, name, seed=0)
            assert content(cache) == wanted, f"{path.name}: {name}"
            said = capsys.readouterr().err.splitlines()
            lines = [line for line in said if "it is made again" in line]
            assert len(lines) == 1, f"{path.name}: {name}: {said}"
            assert lines[0].startswith(str(path)), f"{path.name}: {name}: {said}"
            assert {one: one.read_bytes() for one in files_below(cache)} == kept, f"{path.name}: {name}"
            content(cache)
            assert not capsys.readouterr().err


@pytest.mark.parametrize("what", KINDS)
def test_another_files_content_is_not_believed(
    what: str, films: tuple[Films, Films], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a wrong copy: whole, of the right size, and of something else."""
    content, others = (KINDS[what](films[number], number) for number in (0, 1))
    wanted = content(cache)
    mine = files_below(cache)
    unwanted = others(cache)
    assert unwanted != wanted
    theirs = [path for path in files_below(cache) if path not in mine]
    copied = 0
    for path in mine:
        for other in theirs:
            if path.suffixes == other.suffixes and path.parent == other.parent:
                path.write_bytes(other.read_bytes())
                copied += 1
                capsys.readouterr()
                assert content(cache) == wanted
                assert f"{path}: " in capsys.readouterr().err
    assert copied >= len(mine)
    assert others(cache) == unwanted


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("thing", ["pipe", "link to nothing", "link to a device"])
def test_what_is_no_file_is_no_cache(what: str, thing: str, films: tuple[Films, Films], cache: Path) -> None:
    content = KINDS[what](films[0], 0)
    wanted = content(cache)
    for path in files_below(cache):
        path.unlink()
        if thing == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(cache / "nowhere" if thing == "link to nothing" else "/dev/zero")
        assert content(cache) == wanted
        assert path.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("seed", range(1, 21))
def test_damage_at_many_places(
    what: str, seed: int, films: tuple[Films, Films], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = KINDS[what](films[0], 0)
    wanted = content(cache)
    for path in files_below(cache):
        for name in DAMAGES:
            damage(path, name, seed)
            capsys.readouterr()
            assert content(cache) == wanted, f"{path.name}: {name}"
            assert "it is made again" in capsys.readouterr().err, f"{path.name}: {name}"


def test_generated_data_are_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def content() -> dict[str, bytes]:
        folder = ensure("siim", root=tmp_path, count=3, size=64, workers=1)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_below(folder)}

    wanted = content()
    assert len(wanted) > 4
    for number, name in enumerate(wanted):
        hidden = name.startswith(".")
        for way in [*DAMAGES] if hidden else [*DAMAGES][number % 5 :: 5]:
            if hidden and way == "one byte short":
                continue  # the end of its last line
            damage(tmp_path / "siim" / name, way, seed=number)
            capsys.readouterr()
            assert content() == wanted, f"{name}: {way}"
            assert "made again" in capsys.readouterr().err, f"{name}: {way}"
    (tmp_path / "siim" / sorted(wanted)[-1]).unlink()
    assert content() == wanted
