"""Decoded pixels and masks of a data set in one file each, so that no epoch decodes anything twice."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.manifest import Manifest
from g2d_bench.data.parallel import over_files
from g2d_bench.errors import InputError
from g2d_bench.files import draft, write_at
from g2d_bench.hashing import digest_file, digest_json
from g2d_bench.kept import begin_table, finish_table, open_table, table_size
from g2d_bench.locks import alone
from g2d_bench.paths import cache_dir
from g2d_bench.readers.base import Dataset, Sample
from g2d_bench.readers.fit import Fit
from g2d_bench.readers.images import DECODE_VERSION, GEOMETRY_VERSION, MASK_VERSION, Letterbox


def pixels_content(manifest: Manifest, size: int, cut_from: int | None = None, fit: Fit | None = None) -> str:
    """Name the content of a pixel table, for the keys of what is computed from it.

    Args:
        manifest: of the data set.
        size: side of the squares in pixels.
        cut_from: side of the larger squares whose centres they are; None where they are whole images.
        fit: how they became squares; None for letterboxes by area averaging.
    """
    content: list[Any] = [manifest.content_hash, size, DECODE_VERSION, GEOMETRY_VERSION]
    if fit is not None:
        content.append({"fit": fit.name})
    if manifest.decoder:
        content.append({"decoder": manifest.decoder})
    return digest_json(content if cut_from is None else [*content, {"centre of": cut_from}])


@dataclass(frozen=True)
class PixelCache:
    """Images in squares, memory-mapped.

    Attributes:
        manifest: gives the order of the rows.
        pixels: shape [N, size, size], read-only.
    """

    manifest: Manifest
    pixels: NDArray[np.uint8]

    @property
    def native(self) -> NDArray[np.int32]:
        """Native (H, W) of each image, shape [N, 2]."""
        return self.manifest.sizes

    def rows(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """Return the rows of ids; see :meth:`Manifest.rows`."""
        return self.manifest.rows(ids)

    @classmethod
    def open(
        cls, dataset: Dataset, manifest: Manifest, size: int, label: str = "", fit: Fit | None = None
    ) -> PixelCache:
        """Open the cache for one side length, decoding all images (with progress) where there is none.

        Args:
            dataset: decodes the images.
            manifest: of that data set; its content hash is part of the key.
            size: side of the square in pixels.
            label: what the progress line says.
            fit: how an image becomes a square; None for letterboxes by area averaging.

        Raises:
            InputError: an image cannot be decoded, has another size than its header says, or was changed
                since it was hashed.
        """

        path = _pixel_path(manifest, size, fit)
        label = label or f"decoding {manifest.dataset} at {size} px"
        shape = (len(manifest.samples), size, size)
        work = _Image(dataset, size, fit)
        return cls(manifest, _open(path, shape, manifest, range(shape[0]), work, label))


def pixel_sizes(manifest: Manifest) -> list[int]:
    """Return the sides in pixels at which a data set is decoded already."""
    sizes = []
    for path in (cache_dir() / "pixels").glob(f"{manifest.dataset}-{manifest.content_hash[:16]}-*.npy"):
        size = path.stem.removeprefix(f"{manifest.dataset}-{manifest.content_hash[:16]}-").split("-")[0]
        if size.isdecimal() and path == _pixel_path(manifest, int(size)):
            sizes.append(int(size))
    return sorted(sizes)


def _pixel_path(manifest: Manifest, size: int, fit: Fit | None = None) -> Path:
    how = "" if fit is None else f"-{fit.name}"
    return _path("pixels", manifest, f"{size}-d{DECODE_VERSION}-g{GEOMETRY_VERSION}{how}")


@dataclass(frozen=True)
class MaskCache:
    """Letterboxed masks of one label, one bit per pixel, memory-mapped; same geometry as the pixels.

    Attributes:
        manifest: gives the order of the rows.
        size: side of the square in pixels.
        known: whether the label is annotated, shape [N]; rows without annotation are empty.
        bits: shape [N, ceil(size² / 8)], most significant bit first.
    """

    manifest: Manifest
    size: int
    known: NDArray[np.bool_]
    bits: NDArray[np.uint8]

    def rows(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """Return the rows of ids; see :meth:`Manifest.rows`."""
        return self.manifest.rows(ids)

    def read(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Unpack masks.

        Args:
            rows: from :meth:`rows`.

        Returns:
            Shape [len(rows), size, size].
        """
        flat = np.unpackbits(self.bits[rows], axis=1, count=self.size * self.size)
        return flat.view(np.bool_).reshape(-1, self.size, self.size)

    @classmethod
    def open(cls, dataset: Dataset, manifest: Manifest, label: str, size: int) -> MaskCache:
        """Open the cache for a label and side length, decoding all masks where there is none.

        A sample without the label, or with NaN for it, is not annotated.

        Raises:
            InputError: a mask cannot be decoded or does not fit its image; no sample has the label.
        """

        known = np.array([_annotated(sample, label) for sample in manifest.samples])
        if not known.any():
            raise InputError(f"no image of data set {manifest.dataset} is annotated with {label!r}")
        word = hashlib.sha256(label.encode()).hexdigest()[:8]
        path = _path("masks", manifest, f"{word}-{size}-g{GEOMETRY_VERSION}-m{MASK_VERSION}")
        shape = (len(manifest.samples), -(-size * size // 8))
        # Rows of absent findings stay zero without a look at the annotation.
        places = [place for place in np.flatnonzero(known) if manifest.samples[place].labels[label] != 0]
        work = _Mask(dataset, label, size)
        bits = _open(path, shape, manifest, places, work, f"masks of {manifest.dataset}: {label}")
        return cls(manifest, size, known, bits)


def _annotated(sample: Sample, label: str) -> bool:
    return not math.isnan(sample.labels.get(label, math.nan))


Item = tuple[int, Sample, tuple[int, int], str]
"""The row of a sample, the sample, (H, W) by its header, and the hash of its file."""
Row = tuple[int, NDArray[np.uint8]]
"""Its row, and what stands there."""


@dataclass(frozen=True)
class _Image:
    """Decodes an image into its square."""

    dataset: Dataset
    size: int
    fit: Fit | None = None

    def __call__(self, item: Item) -> Row:
        place, sample, (rows, columns), sha256 = item
        image = self.dataset.read_image(sample)
        if image.shape[:2] != (rows, columns):
            raise InputError(
                f"image has {image.shape[1]}x{image.shape[0]} pixels, its header says {columns}x{rows}",
                file=sample.path,
            )
        # What is kept is named by the hash; a film that was replaced meanwhile would stand under the old one.
        if digest_file(sample.path) != sha256:
            raise InputError("changed since it was hashed; run again", file=sample.path)
        if self.fit is not None:
            return place, self.fit.image_forward(image, self.size)
        return place, Letterbox.of((rows, columns), self.size).image_forward(image)


@dataclass(frozen=True)
class _Mask:
    """Draws the mask of a label into its square, as bits."""

    dataset: Dataset
    label: str
    size: int

    def __call__(self, item: Item) -> Row:
        place, sample, shape, _ = item
        mask = self.dataset.read_mask(sample, shape, self.label)
        if sample.labels.get(self.label) == 1 and not mask.any():
            raise InputError(f"shows {self.label!r} by its label, and nothing by its mask", file=sample.path)
        return place, np.packbits(Letterbox.of(shape, self.size).mask_forward(mask))


def _path(what: str, manifest: Manifest, key: str) -> Path:
    code = f"-{manifest.decoder[:16]}" if manifest.decoder else ""
    return cache_dir() / what / f"{manifest.dataset}-{manifest.content_hash[:16]}-{key}{code}.npy"


def _open(
    path: Path,
    shape: tuple[int, ...],
    manifest: Manifest,
    places: Sequence[int],
    decode: Callable[[Item], Row],
    label: str,
) -> NDArray[np.uint8]:
    """Map an array of bytes, making it row by row where it is missing or damaged; others wait meanwhile."""
    if (array := open_table(path, shape)) is not None:
        return array
    with alone(path.with_name(f".{path.name}.lease"), label):
        if (array := open_table(path, shape, say=False)) is not None:
            return array
        with draft(path, table_size(shape)) as handle:
            sizes, hashes = manifest.sizes.tolist(), manifest.sha256
            items = [(int(n), manifest.samples[n], (sizes[n][0], sizes[n][1]), hashes[n]) for n in places]
            _fill(handle, shape, items, decode, label)
            finish_table(handle, path, shape)
        array = open_table(path, shape)
    if array is None:
        raise InputError("cache cannot be read back", file=path)
    return array


def _fill(
    handle: int, shape: tuple[int, ...], items: Sequence[Item], decode: Callable[[Item], Row], label: str
) -> None:
    """Write the rows of ``items``; the others are zeros already."""
    start, length = begin_table(handle, shape), math.prod(shape[1:])
    for place, row in over_files(decode, items, label):
        assert row.dtype == np.uint8
        assert row.size == length
        write_at(handle, np.ascontiguousarray(row).data, start + place * length)
