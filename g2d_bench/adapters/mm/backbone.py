"""One of our encoders under a head of mmseg or mmdet, and how batches of row numbers reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor, BaseModule
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.adapters.base import Job
from g2d_bench.data.cache import pixels_content
from g2d_bench.devices import room
from g2d_bench.encoders.dense import remembered
from g2d_bench.encoders.features import features_key
from g2d_bench.encoders.image import hold_batchnorm
from g2d_bench.encoders.load import Encoder

HELD = 512 << 20
"""Bytes of images that stay where they are computed; see :func:`~g2d_bench.devices.room`."""


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a batch: row numbers [B], or rows with more numbers beside them [B, K], and the data samples."""
    return {
        "inputs": torch.tensor([item["inputs"] for item in items]),
        "data_samples": [item["data_samples"] for item in items],
    }


def kept_maps(
    job: Job,
    ids: Sequence[str],
    compute: Callable[[Encoder, NDArray[np.uint8], NDArray[np.int64]], list[Tensor]],
    bytes_of: Callable[[Encoder], int],
) -> tuple[list[Tensor] | None, dict[str, int]]:
    """Return the frozen encoder's maps of some images, as far as they fit the job's memory budget.

    Args:
        job: the cell.
        ids: its images.
        compute: from encoder, pixels and rows to levels [N, C, H, W]; its name tells them from others.
        bytes_of: the room that the levels of one image take.

    Returns:
        Levels, or None if they do not fit; and the row of each image in them (or in ``ids``).
    """
    budget, each = room(job.encoder.device, job.memory_budget), bytes_of(job.encoder)
    if each * len(ids) > budget:
        return None, numbered(ids)
    size = job.encoder.card.image.size
    table = job.data.pixels(size)
    levels, places = remembered(
        f"{compute.__name__} {features_key(job.encoder, pixels_content(job.data.manifest, size))}",
        table.rows(ids).astype(np.int64),
        lambda rows: compute(job.encoder, table.pixels, rows),
        budget_bytes=budget,
        each=each,
    )
    return levels, dict(zip(ids, places.tolist(), strict=True))


def numbered(ids: Sequence[str]) -> dict[str, int]:
    """Return the row of each image where rows are in the order of ``ids``."""
    return {image: row for row, image in enumerate(ids)}


class Unprocessed(BaseDataPreprocessor):
    """Only moves a batch to the device; normalisation belongs to the encoder."""

    def cast_data(self, data: Any) -> Any:
        """Move a batch; on the CPU it is there, and copying every sample would cost a tenth of a step."""
        return data if self.device.type == "cpu" else super().cast_data(data)


class EncoderBackbone(BaseModule):
    """One of our encoders as a backbone of mmseg or mmdet; a subclass says which of its maps the head reads.

    Its input is row numbers [B]; the images come from a table of letterboxed pixels, or, for a frozen
    encoder, their maps from a table that was computed once.

    Args:
        encoder: the loaded encoder.
        pixels: uint8 images [N, S, S].
        maps: dense features [N, C, H, W] per level that the head reads, or None to compute them.
        tuning: ``frozen`` or ``finetune``.
        batchnorm: ``frozen`` keeps BatchNorm in eval mode.
    """

    def __init__(
        self,
        encoder: Encoder,
        pixels: NDArray[np.uint8],
        maps: list[Tensor] | None,
        tuning: str,
        batchnorm: str,
    ) -> None:
        super().__init__()
        self.body = encoder.image
        self.encoder = encoder
        self._pixels = pixels
        self._maps = maps
        self._images: Tensor | None = None
        self._frozen = tuning == "frozen"
        self._freeze_norm = batchnorm == "frozen"
        self.body.requires_grad_(not self._frozen)

    def train(self, mode: bool = True) -> EncoderBackbone:
        """Switch mode; what is frozen stays in eval mode whatever the loop asks for."""
        if self._frozen and self._freeze_norm:
            # mmengine asks in every step; going through all modules twice each time would be felt.
            self.training = mode
            if self.body.training:
                self.body.eval()
            return self
        super().train(mode)
        if self._freeze_norm:
            hold_batchnorm(self.body)
        return self

    def forward(self, rows: Tensor) -> list[Tensor]:
        """Return the maps of the images in ``rows``, [B] or [B, K] with the number first, fine to coarse."""
        if self._maps is not None:
            maps = (level[rows.to(level.device)].to(rows.device) for level in self._maps)
            return [level.contiguous(memory_format=torch.channels_last) for level in maps]
        number = (rows[:, 0] if rows.ndim == 2 else rows).long()
        images = self.augmented(self._taken(number), rows)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            return self.read(list(self.body(self.encoder.preprocess(images)).pyramid))

    def _taken(self, number: Tensor) -> Tensor:
        """Return the images of rows [B]; on a GPU the table lies there once it was asked for, if it fits."""
        if number.is_cuda and self._images is None and self._pixels.nbytes <= room(number.device, HELD):
            self._images = torch.from_numpy(np.ascontiguousarray(self._pixels)).to(number.device)
        if self._images is not None:
            return self._images[number]
        return torch.from_numpy(self._pixels[number.cpu().numpy()]).to(number.device)

    def augmented(self, images: Tensor, rows: Tensor) -> Tensor:
        """Change images [B, S, S] as the numbers beside their rows say; by default nothing."""
        return images

    def read(self, pyramid: list[Tensor]) -> list[Tensor]:
        """Choose what the head reads of a pyramid; by default all of it."""
        return pyramid
