from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from g2d_bench.data.cache import MaskCache, PixelCache, pixel_sizes, pixels_content
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_code
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.fit import Fit
from g2d_bench.readers.images import Letterbox, letterbox

LABELS = {"a": 1.0, "b": 0.0, "c": float("nan"), "d": 1.0, "e": -1.0}
SHAPES = {"a": (30, 20), "b": (17, 40), "c": (25, 25), "d": (64, 48), "e": (9, 9)}


class Counting(Dataset):
    """Images of several shapes; masks are the bright pixels."""

    name = "counting"
    folders = ("counting",)
    labels = ("A",)
    decoded: ClassVar[list[str]] = []
    masks: ClassVar[list[str]] = []

    def samples(self) -> list[Sample]:
        return [
            Sample(path.stem, path.stem, path, {"A": LABELS[path.stem]})
            for path in sorted(self.root.glob("*.png"))
        ]

    def read_image(self, sample: Sample) -> NDArray[np.uint8]:
        self.decoded.append(sample.id)
        return super().read_image(sample)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        self.masks.append(sample.id)
        image = super().read_image(sample)
        assert image.shape == shape
        bright: NDArray[np.bool_] = image > 128
        return bright


@pytest.fixture
def data(tmp_path: Path) -> Counting:
    root = tmp_path / "counting"
    root.mkdir()
    random = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(root / f"{name}.png")
    Counting.decoded.clear()
    Counting.masks.clear()
    return Counting(root)


def test_pixels_are_letterboxed_images_in_manifest_order(data: Counting) -> None:
    manifest = Manifest.open(data)
    cache = PixelCache.open(data, manifest, 24)
    assert cache.pixels.shape == (5, 24, 24)
    assert cache.native.tolist() == [list(shape) for shape in SHAPES.values()]
    for row, sample in zip(cache.rows(SHAPES), manifest.samples, strict=True):
        np.testing.assert_array_equal(cache.pixels[row], letterbox(data.read_image(sample), 24))
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


def test_an_own_readers_changed_code_decodes_anew(data: Counting) -> None:
    """Our decoding has versions; that of another package is known by its source."""
    manifest = Manifest.open(data)
    assert manifest.decoder == Manifest.open(data).decoder == digest_code(__name__)
    edited = replace(manifest, decoder="edited")
    for _ in range(2):
        for one in (manifest, edited):
            PixelCache.open(data, one, 24)
            MaskCache.open(data, one, "A", 24)
    assert len(Counting.decoded) == 2 * len(SHAPES)
    assert len(Counting.masks) == 2 * 3
    names = {pixels_content(one, 24) for one in (manifest, edited, replace(manifest, decoder=""))}
    assert len(names) == 3
    assert pixel_sizes(manifest) == [24]


def test_a_film_that_was_replaced_since_it_was_hashed_is_refused(data: Counting) -> None:
    manifest = Manifest.open(data)
    film = np.zeros(SHAPES["b"], np.uint8)
    Image.fromarray(film).save(data.root / "b.png")
    with pytest.raises(InputError, match=r"b\.png: changed since it was hashed"):
        PixelCache.open(data, manifest, 24)
    row = PixelCache.open(data, Manifest.open(data), 24)
    assert not row.pixels[row.rows(["b"])].any()


def test_another_fit_has_a_cache_and_a_name_of_its_own(data: Counting) -> None:
    manifest, fit = Manifest.open(data), Fit("crop", "bicubic")
    cropped, whole = PixelCache.open(data, manifest, 24, fit=fit), PixelCache.open(data, manifest, 24)
    for row, sample in zip(cropped.rows(SHAPES), manifest.samples, strict=True):
        np.testing.assert_array_equal(cropped.pixels[row], fit.image_forward(data.read_image(sample), 24))
    assert not np.array_equal(cropped.pixels, whole.pixels)
    assert pixels_content(manifest, 24, fit=fit) != pixels_content(manifest, 24)


def test_nothing_is_decoded_twice(data: Counting, own_cache: Path) -> None:
    manifest = Manifest.open(data)
    for _ in range(2):
        PixelCache.open(data, manifest, 24)
        MaskCache.open(data, manifest, "A", 24)
    assert sorted(Counting.decoded) == sorted(SHAPES)
    assert sorted(Counting.masks) == ["a", "d", "e"]
    PixelCache.open(data, manifest, 16)
    assert len(Counting.decoded) == 10
    MaskCache.open(data, manifest, "A", 16)
    assert len(Counting.masks) == 6
    assert not list(own_cache.rglob(".*"))


def test_changed_data_get_another_cache(data: Counting) -> None:
    first = PixelCache.open(data, Manifest.open(data), 24).pixels
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(data.root / "a.png")
    second = PixelCache.open(data, Manifest.open(data), 24).pixels
    assert first[0].any()
    assert not second[0].any()


@pytest.mark.parametrize("what", ["pixels", "masks"])
@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "shape", "pickle"])
def test_damaged_caches_are_made_again(data: Counting, own_cache: Path, what: str, damage: str) -> None:
    manifest = Manifest.open(data)

    def content() -> NDArray[np.uint8]:
        if what == "pixels":
            return PixelCache.open(data, manifest, 24).pixels
        return MaskCache.open(data, manifest, "A", 24).bits

    wanted = np.array(content())
    path = next((own_cache / what).iterdir())
    whole = path.read_bytes()
    if damage == "shape":
        np.save(path, np.zeros((2, 24, 24), np.uint8))
    elif damage == "pickle":
        np.save(path, np.array([{}]), allow_pickle=True)
    else:
        path.write_bytes({"empty": b"", "cut": whole[:-9], "junk": b"junk" * 99}[damage])
    np.testing.assert_array_equal(content(), wanted)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [24, 25])
def test_masks(data: Counting, size: int) -> None:
    manifest = Manifest.open(data)
    cache = MaskCache.open(data, manifest, "A", size)
    assert cache.known.tolist() == [True, True, False, True, True]
    assert cache.bits.shape == (5, -(-size * size // 8))
    rows = cache.rows(["d", "b", "a"])
    masks = cache.read(rows)
    assert masks.dtype == np.bool_
    for name, mask in zip(("d", "b", "a"), masks, strict=True):
        image = data.read_image(manifest.samples[manifest.index[name]])
        expected = Letterbox.of(SHAPES[name], size).mask_forward(image > 128)
        np.testing.assert_array_equal(mask, expected & (name != "b"))  # b is negative
    assert cache.read(rows[:0]).shape == (0, size, size)


def test_label_that_nobody_annotated(data: Counting) -> None:
    with pytest.raises(InputError, match="no image of data set counting is annotated with 'Z'"):
        MaskCache.open(data, Manifest.open(data), "Z", 24)


def test_failure_leaves_nothing_behind(data: Counting, own_cache: Path) -> None:
    manifest = Manifest.open(data)
    Image.fromarray(np.zeros((31, 20), np.uint8)).save(data.root / "a.png")
    with pytest.raises(InputError, match=r"a\.png: image has 20x31 pixels, its header says 20x30"):
        PixelCache.open(data, manifest, 24)
    (data.root / "a.png").unlink()
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        PixelCache.open(data, manifest, 24)
    assert not list((own_cache / "pixels").iterdir())


def test_a_positive_film_with_an_empty_mask_stops(data: Counting, own_cache: Path) -> None:
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(data.root / "a.png")
    with pytest.raises(InputError, match=r"a\.png: shows 'A' by its label, and nothing by its mask"):
        MaskCache.open(data, Manifest.open(data), "A", 24)
