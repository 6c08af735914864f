"""How a film becomes a square for encoders that were not trained on letterboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from g2d_bench.readers.images import Letterbox

How = Literal["letterbox", "stretch", "crop"]
Filter = Literal["area", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Fit:
    """From a film of any shape to a square.

    Attributes:
        how: ``letterbox``, ``stretch`` or ``crop``.
        interpolation: ``area`` (OpenCV's averaging; linear when enlarging), or a filter of Pillow's, which
            torchvision and the image processors of transformers and open_clip use, too.
        first: side to which the film is brought before it gets its last one; None for at once. A crop that
            is larger is cut out of a film whose shorter side is as long as the crop.
        floor: whether the centre of an odd rest lies half a pixel towards the upper left (transformers) or
            where rounding to even puts it (torchvision).
    """

    how: How
    interpolation: Filter = "area"
    first: int | None = None
    floor: bool = False

    @property
    def name(self) -> str:
        """In a few characters, for keys and names of files."""
        first = f"-{self.first}" if self.first else ""
        return f"{self.how}-{self.interpolation}{first}{'-f' if self.floor else ''}"

    def image_forward(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Fit an image [H, W] into a square [size, size]."""
        if self.how == "stretch":
            side = self.first or size
            return self._resized(self._resized(image, (side, side)), (size, size))
        if self.how == "letterbox":
            return self._resized(self._letterboxed(image, self.first or size), (size, size))
        if self.interpolation == "area" and self.first is None:
            # torchxrayvision cuts the square out before it scales, and has whole pixels to average.
            side = min(image.shape)
            top, left = (n // 2 - side // 2 for n in image.shape)
            return self._resized(image[top : top + side, left : left + side], (size, size))
        rows, columns = image.shape
        short, side = min(rows, columns), max(self.first or size, size)
        shape = tuple(side if n == short else int(side * n / short) for n in (rows, columns))
        return self._centre(self._resized(image, (shape[0], shape[1])), size)

    def _letterboxed(self, image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        box = Letterbox.of((image.shape[0], image.shape[1]), side)
        square = np.zeros((side, side), np.uint8)
        inside = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        square[inside] = self._resized(image, (box.height, box.width))
        return square

    def _centre(self, image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        rows, columns = image.shape
        top, left = (((n - side) // 2 if self.floor else round((n - side) / 2)) for n in (rows, columns))
        return image[top : top + side, left : left + side]

    def _resized(self, image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Resize an image to (rows, columns)."""
        if image.shape == shape:
            return image
        if self.interpolation == "area":
            import cv2

            how = cv2.INTER_AREA if shape[0] < image.shape[0] else cv2.INTER_LINEAR
            averaged: NDArray[Any] = cv2.resize(image, (shape[1], shape[0]), interpolation=how)
            return averaged.astype(np.uint8)
        from PIL import Image

        found = Image.fromarray(np.ascontiguousarray(image)).resize(
            (shape[1], shape[0]), Image.Resampling[self.interpolation.upper()]
        )
        return np.asarray(found)
