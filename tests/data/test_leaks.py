from __future__ import annotations

import io
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from g2d_bench.data.cache import PixelCache
from g2d_bench.data.leaks import (
    NEAR_DUPLICATE,
    Leak,
    LeakError,
    find_leaks,
    require_no_leaks,
    shared_in_words,
)
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import Split, make_split
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Sample
from g2d_bench.readers.covid_cxr import CovidCxr
from g2d_bench.readers.images import letterbox

Grey = NDArray[np.uint8]


def manifest(patients: dict[str, str], sha: dict[str, str] | None = None, side: int = 64) -> Manifest:
    samples = tuple(Sample(name, patients[name], Path("x")) for name in sorted(patients))
    hashes = tuple((sha or {}).get(s.id, f"sha-{s.id}") for s in samples)
    return Manifest("toy", "real", samples, hashes, np.full((len(samples), 2), side, np.int32), "")


def structure(seed: int, side: int = 64) -> Grey:
    """Smooth random structure, like a film of its own."""
    noise = np.random.default_rng(seed).normal(size=(side, side)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), side / 40)
    image: Grey = np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)
    return image


def test_clean_split_has_no_leaks() -> None:
    known = manifest({"a": "1", "b": "1", "c": "2", "d": "3"})
    split = Split("s", ("a", "b"), ("c",), ("d",))
    pixels = PixelCache(known, np.stack([structure(i) for i in range(4)]))
    assert find_leaks(split, known) == find_leaks(split, known, pixels) == []
    require_no_leaks(split, known, pixels)


def test_shared_id_patient_and_file() -> None:
    known = manifest(
        {"a": "1", "b": "1", "c": "2", "d": "3", "e": "2", "f": "1"}, sha={"b": "same", "d": "same"}
    )
    split = Split("s", ("a", "b", "c"), ("d", "a"), ("e", "f"))
    assert find_leaks(split, known) == [
        Leak("id", "a", "a", "train", "val"),
        Leak("patient", "a", "a", "train", "val"),
        Leak("patient", "a", "f", "train", "test"),
        Leak("patient", "c", "e", "train", "test"),
        Leak("patient", "a", "f", "val", "test"),
        Leak("file", "a", "a", "train", "val"),
        Leak("file", "b", "d", "train", "val"),
    ]
    with pytest.raises(
        LeakError, match=r"1 by id, 4 by patient, 2 by file.*first: a in train and a in val share id"
    ):
        require_no_leaks(split, known)
    assert issubclass(LeakError, InputError)


def test_blank_films_are_said_and_are_no_leak(capsys: pytest.CaptureFixture[str]) -> None:
    known = manifest(
        {"a": "1", "b": "2", "c": "3", "d": "4"}, sha=dict.fromkeys("abc", "blank") | {"d": "film"}
    )
    split = Split("s", ("a",), ("b",), ("c", "d"))
    grey = np.full((64, 64), 90, np.uint8)
    pixels = PixelCache(known, np.stack([grey, grey, grey, structure(3)]))
    require_no_leaks(split, known, pixels)
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "toy: 3 films are blank (one grey value each; the first: x): they count as images, and as no leak "
        "where they are alike"
    )
    # Equal files that show something are one.
    shown = PixelCache(known, np.stack([structure(3)] * 4))
    assert {leak.kind for leak in find_leaks(split, known, shown)} == {"file", "near-duplicate"}
    # So is a blank film that stands in two parts, or two of one patient.
    twice = Split("s", ("a",), ("a", "b"), ("c",))
    assert [leak.kind for leak in find_leaks(twice, known, pixels)] == ["id", "patient", "file"]


def test_unknown_id() -> None:
    with pytest.raises(InputError, match="no image 'z'"):
        find_leaks(Split("s", ("a",), ("b",), ("z",)), manifest({"a": "1", "b": "2"}))


def recompress(image: Grey) -> Grey:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=40)
    return np.array(Image.open(buffer))


def test_near_duplicates_are_found_between_parts_only() -> None:
    film = structure(0)
    darker = (film * 0.7).astype(np.uint8)
    images = [film, recompress(film), structure(1), darker, film, np.zeros_like(film), np.zeros_like(film)]
    known = manifest(dict(zip("abcdefg", "1234167", strict=True)))
    pixels = PixelCache(known, np.stack(images))
    split = Split("s", ("a", "b", "f"), ("c", "e"), ("d", "g"))
    assert [(leak.kind, leak.a, leak.b) for leak in find_leaks(split, known, pixels)] == [
        ("patient", "a", "e"),  # the same film too, but that is said once
        ("near-duplicate", "b", "e"),
        ("near-duplicate", "a", "d"),
        ("near-duplicate", "b", "d"),
        ("near-duplicate", "e", "d"),
    ]


def test_padding_and_aspect_do_not_matter() -> None:
    wide = cv2.resize(structure(3, 128), (128, 64))
    known = manifest({"a": "1", "b": "2", "c": "3"})
    known.sizes[0] = (64, 128)
    squares = [letterbox(wide, 64), cv2.resize(wide, (64, 64), interpolation=cv2.INTER_AREA), structure(4)]
    pixels = PixelCache(known, np.stack(squares))
    leaks = find_leaks(Split("s", ("a",), ("b",), ("c",)), known, pixels)
    assert [(leak.a, leak.b) for leak in leaks] == [("a", "b")]
    # Other images with the same padding are not alike for that.
    other = letterbox(cv2.resize(structure(5, 128), (128, 64)), 64)
    known.sizes[1] = (64, 128)
    pixels = PixelCache(known, np.stack([squares[0], other, squares[2]]))
    assert not find_leaks(Split("s", ("a",), ("b",), ("c",)), known, pixels)


def test_twelve_thousand_images_are_quick_and_noise_is_no_leak() -> None:
    count = 12_000
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 32, 32), dtype=np.uint8)
    images[-1] = images[0]
    known = manifest({f"{i:05}": str(i) for i in range(count)}, side=32)
    names = [s.id for s in known.samples]
    split = Split("s", tuple(names[:8400]), tuple(names[8400:10200]), tuple(names[10200:]))
    start = time.perf_counter()
    leaks = find_leaks(split, known, PixelCache(known, images))
    assert time.perf_counter() - start < 20  # 2 s on two free cores
    assert [(leak.a, leak.b) for leak in leaks] == [("00000", "11999")]


def test_real_radiographs(real_pack: Path) -> None:
    data = CovidCxr(real_pack / "covid-cxr")
    known = Manifest.open(data)
    pixels = PixelCache.open(data, known, 128)
    split = make_split(known.samples, salt="covid-cxr", strata=("COVID-19",))
    assert find_leaks(split, known, pixels) == []
    # Every film, stored again as a poor JPEG, is found; nothing else is.
    copies = [recompress(data.read_image(sample)) for sample in known.samples]
    both = Manifest(
        known.dataset,
        known.kind,
        (*known.samples, *(Sample(f"copy {s.id}", f"copy {s.patient}", s.path) for s in known.samples)),
        (*known.sha256, *(f"copy {sha}" for sha in known.sha256)),
        np.concatenate([known.sizes, known.sizes]),
        "",
    )
    squares = np.concatenate([pixels.pixels, [letterbox(copy, 128) for copy in copies]])
    ids = tuple(s.id for s in known.samples)
    spare = ids[-1]
    split = Split("s", ids[:-1], (spare,), tuple(f"copy {name}" for name in ids[:-1]))
    leaks = find_leaks(split, both, PixelCache(both, squares))
    assert {(leak.a, leak.b) for leak in leaks} == {(name, f"copy {name}") for name in ids[:-1]}
    assert NEAR_DUPLICATE < 0.9


def test_what_a_published_split_shares_is_put_in_words() -> None:
    known = manifest({"a": "1", "b": "1", "c": "2", "d": "3"}, sha={"c": "same", "d": "same"})
    assert shared_in_words(find_leaks(Split("x", ("a",), ("c",), ("b", "c")), known)) == (
        "train and test 1 patients; val and test 1 images and 1 patients"
    )
    assert shared_in_words(find_leaks(Split("x", ("a",), ("c",), ("d",)), known)) == (
        "val and test 1 copies of files"
    )
    assert shared_in_words([]) == ""
