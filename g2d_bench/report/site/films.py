"""Films that may be shown: generated ones, and real ones whose licence lets anybody show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.cache import PixelCache, pixel_sizes
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Dataset, Sample
from g2d_bench.readers.images import Letterbox
from g2d_bench.readers.registry import dataset_class, dataset_names, open_dataset
from g2d_bench.records.record import DataPart

SIDE = 144
"""Pixels of a film on a page."""
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass
class FilmSet:
    """One data set's films, of the very content that records name.

    Attributes:
        dataset: its reader.
        manifest: its samples.
        licence: what must be said along; empty for generated films.
    """

    dataset: Dataset
    manifest: Manifest
    licence: str
    _pixels: PixelCache | None = None
    _films: dict[str, Grey] = field(default_factory=dict)
    _masks: dict[tuple[str, str], Mask] = field(default_factory=dict)

    def sample(self, name: str) -> Sample:
        """Return a sample.

        Raises:
            InputError: there is none of that id.
        """
        return self.manifest.samples[int(self.manifest.rows([name])[0])]

    def native(self, name: str) -> tuple[int, int]:
        """Return height and width of a film."""
        rows, columns = self.manifest.sizes[int(self.manifest.rows([name])[0])]
        return int(rows), int(columns)

    def film(self, name: str) -> Grey:
        """Return a film in its square, [SIDE, SIDE].

        Raises:
            InputError: there is none of that id, or it cannot be read.
        """
        import cv2

        if name not in self._films:
            large = [size for size in pixel_sizes(self.manifest) if size >= SIDE - 32]
            if self._pixels is None and large:
                self._pixels = PixelCache.open(self.dataset, self.manifest, min(large))
            if self._pixels is not None:
                square = np.asarray(self._pixels.pixels[int(self.manifest.rows([name])[0])])
                how = cv2.INTER_AREA if len(square) > SIDE else cv2.INTER_LINEAR
                made = cv2.resize(square, (SIDE, SIDE), interpolation=how)
            else:
                image = self.dataset.read_image(self.sample(name))
                made = Letterbox.of((image.shape[0], image.shape[1]), SIDE).image_forward(image)
            self._films[name] = np.asarray(made, np.uint8)
        return self._films[name]

    def mask(self, name: str, label: str) -> Mask:
        """Return the true mask of a label in the square of the film, [SIDE, SIDE].

        Raises:
            InputError: the data set has no such mask.
        """
        if (name, label) not in self._masks:
            shape = self.native(name)
            mask = self.dataset.read_mask(self.sample(name), shape, label)
            self._masks[name, label] = Letterbox.of(shape, SIDE).mask_forward(mask)
        return self._masks[name, label]

    def placed(self, name: str, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map boxes [N, 4] (left, top, width, height) in native pixels to the square of the film."""
        return Letterbox.of(self.native(name), SIDE).boxes_forward(boxes)


class Films:
    """Finds the films of records; those that are not here, or may not be shown, are told why.

    Args:
        phantom: the folder under which generated data are kept; nothing is generated.
        root: the user's folder of real data, or None.
    """

    def __init__(self, phantom: Path | None = None, root: Path | None = None) -> None:
        self._phantom, self._root = phantom, root
        self._sets: dict[tuple[str, str, str], FilmSet | str] = {}

    def of(self, data: DataPart) -> FilmSet | str:
        """Return the films of a record's data, or why there are none."""
        key = (data.kind, data.dataset, data.hash)
        if key not in self._sets:
            try:
                self._sets[key] = self._open(data)
            except (InputError, OSError) as error:
                self._sets[key] = f"No pictures: the films cannot be read ({error})."
        return self._sets[key]

    def _open(self, data: DataPart) -> FilmSet | str:
        if self._phantom is None:
            return ""
        if data.dataset not in dataset_names():
            return f"No pictures: nothing here reads {data.dataset}."
        reader = dataset_class(data.dataset)
        if data.kind == "real" and not reader.films_open:
            return f"No pictures: the licence does not let everybody show these films ({reader.licence})."
        if data.kind == "real":
            if self._root is None:
                return "No pictures: the films are not here (leaderboard --data-root names their folder)."
            dataset = open_dataset(data.dataset, self._root)
        else:
            dataset = reader(self._phantom / data.dataset)
        missing = "No pictures: the films of this record are not here"
        if not dataset.root.is_dir():
            return f"{missing} (`g2d-bench data prepare {data.dataset} --phantom` generates today's)."
        # Hashing generated films takes seconds, a real release hours: of that only what is known is used.
        manifest = Manifest.open(dataset) if data.kind == "phantom" else Manifest.cached(dataset)
        if manifest is None or manifest.content_hash != data.hash:
            have = "none were read yet" if manifest is None else f"here are {manifest.content_hash[:8]}"
            return f"{missing}: it saw {data.dataset}#{data.hash[:8]}, {have}."
        if manifest.kind != data.kind:
            return f"{missing}: they are {manifest.kind} data."
        return FilmSet(dataset, manifest, reader.films_open if data.kind == "real" else "")


def boxes_of(boxes: tuple[Box, ...]) -> NDArray[np.float64]:
    """Return boxes as an array [N, 4] (left, top, width, height)."""
    return np.array([(box.x, box.y, box.w, box.h) for box in boxes], np.float64).reshape(-1, 4)
