"""Heads over an encoder's maps, trained step by step: what segmentation and detection have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters.base import Job
from g2d_bench.cards.protocol import Training

if TYPE_CHECKING:
    import torch

    from g2d_bench.adapters.mm.runner import Trained
    from g2d_bench.encoders.load import Encoder

EVAL_BATCH = 32
"""Images that are predicted at once."""


class DenseRule(Training):
    """How a head over an encoder's maps is trained."""

    tuning: Literal["frozen", "finetune"]
    select: str
    """Metric by which the checkpoint is chosen on validation."""

    @property
    def frozen(self) -> bool:
        """Whether nothing of the encoder moves, so that its maps need be computed once only."""
        return self.tuning == "frozen" and self.batchnorm == "frozen"


@dataclass(frozen=True)
class Material:
    """The images of a cell, as a head over an encoder's maps reads them.

    Attributes:
        ids: of the images of each part: ``train``, ``val`` and ``test``.
        pixels: of all of them and no others, uint8 [N, S, S].
        maps: of a frozen encoder, levels [M, C, H, W], None where they are computed in every step.
        rows: per part the row of each image in ``maps``, or else in ``pixels``.
        frozen: whether nothing of the encoder moves.
        state: hash of the encoder before anything was trained.
    """

    ids: dict[str, tuple[str, ...]]
    pixels: NDArray[np.uint8]
    maps: list[torch.Tensor] | None
    rows: dict[str, list[int]]
    frozen: bool
    state: str

    @classmethod
    def of(
        cls,
        job: Job,
        rule: DenseRule,
        compute: Callable[[Encoder, NDArray[np.uint8], NDArray[np.int64]], list[torch.Tensor]],
        bytes_of: Callable[[Encoder], int],
    ) -> Material:
        """Collect a cell's images.

        Args:
            job: the cell.
            rule: says whether maps can be kept.
            compute: gives a frozen encoder's maps of some images, those that the head reads.
            bytes_of: the room that the maps of one image take.
        """
        from g2d_bench.adapters.mm.backbone import kept_maps, numbered
        from g2d_bench.encoders.features import frozen_hash

        data = job.data
        ids = {"train": tuple(data.train), "val": tuple(data.val), "test": tuple(data.test)}
        pixels = data.pixels(job.encoder.card.image.size)
        # Of this cell's images only: at 1 % most of the data set is not needed.
        used = [name for part in ids.values() for name in part]
        table = np.ascontiguousarray(pixels.pixels[pixels.rows(used)])
        maps, row = kept_maps(job, used, compute, bytes_of) if rule.frozen else (None, numbered(used))
        rows = {part: [row[name] for name in names] for part, names in ids.items()}
        return cls(ids, table, maps, rows, rule.frozen, frozen_hash(job.encoder.image))

    def notes(self, encoder: Encoder, trained: Trained, select: str) -> dict[str, Any]:
        """Return what a record says of the training.

        Raises:
            RuntimeError: what should be frozen is not as it was.
        """
        from g2d_bench.encoders.features import frozen_hash

        after = frozen_hash(encoder.image)
        if self.frozen and after != self.state:
            raise RuntimeError("the frozen encoder changed while its head was trained")
        return {
            "steps": trained.steps,
            "chosen_step": trained.chosen_step,
            "validation": {select: trained.validation},
            "dense_features": "computed once" if self.maps is not None else "computed per step",
            "encoder_frozen": self.frozen,
            "encoder_state": self.state,
            **({} if self.frozen else {"encoder_state_after": after}),
        }
