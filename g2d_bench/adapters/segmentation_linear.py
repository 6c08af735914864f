"""Segmentation without a decoder: a linear head on every cell of the frozen pyramid, at its optimum.

Nothing is drawn at random and nothing is stopped early, so the numbers depend on the features alone: they are
the same, to rounding, on every machine. They say how much of a mask can be read off linearly, cell by cell;
what a decoder would make of neighbouring cells they do not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from g2d_bench.adapters.base import Job, NotApplicable, by_encoder
from g2d_bench.cards.base import Card
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.task import require_fit
from g2d_bench.errors import InputError
from g2d_bench.metrics.segmentation import BATCH, counts, segmentation_metrics

if TYPE_CHECKING:
    import torch

    from g2d_bench.adapters.dense_heads import Chunk, DenseHeads
    from g2d_bench.encoders.load import Encoder

CHUNK = 32
"""Images that are read at once."""
STRIDE = 4
"""Pixels of the encoder's input per cell, along an axis; coarser where all levels are."""


class LinearSegmentation(Card):
    """How linear heads on the cells of a pyramid are fitted and read in a segmentation task."""

    decoder: Literal["linear"]
    penalties: tuple[float, ...] = Field(min_length=1)
    """Grid of squared-norm penalties, ascending; chosen on validation."""
    thresholds: tuple[float, ...] = Field(min_length=1)
    """Grid of probabilities above which a pixel shows the finding, ascending; chosen on validation."""
    select: str
    """Metric by which penalty and threshold are chosen on validation."""
    batch_size: int = Field(default=BATCH, gt=0)
    """Images per batch, for metrics that are averaged over batches."""

    @model_validator(mode="after")
    def _ascending(self) -> LinearSegmentation:
        for name in ("penalties", "thresholds"):
            values = getattr(self, name)
            if list(values) != sorted(set(values)) or values[0] <= 0:
                raise ValueError(f"{name} must be positive and ascend")
        if self.thresholds[-1] >= 1:
            raise ValueError("thresholds must be below 1")
        require_fit(self.select, KINDS["segmentation"])
        return self


@dataclass(frozen=True)
class Read:
    """What a head says of a test set: its masks as bits [N, side * side / 8], and facts about the fit."""

    bits: NDArray[np.uint8]
    notes: dict[str, Any]


def run_linear(jobs: Sequence[Job], rule: LinearSegmentation) -> list[Read]:
    """Fit the heads of several cells of one task and protocol, and predict the test set.

    Heads of all cells with one encoder share its features; each gets what it would get alone.

    Raises:
        InputError: no training or no validation image of a cell shows the finding.
        NotApplicable: a cell would start from a pre-trained decoder, of which nothing is used here.
    """
    if any(job.with_decoder for job in jobs):
        raise NotApplicable("a linear head takes nothing of a pre-trained decoder")
    return by_encoder(jobs, lambda group: _fitted(group, rule))


def _fitted(jobs: Sequence[Job], rule: LinearSegmentation) -> list[Read]:
    import torch

    from g2d_bench.adapters.dense_heads import fit_dense_heads
    from g2d_bench.encoders.features import frozen_hash

    # With all labels every seed trains on the same images: these heads are fitted once.
    sets = list(dict.fromkeys(job.data.train for job in jobs))
    ids = sorted({i for job in jobs for part in (job.data.train, job.data.val, job.data.test) for i in part})
    maps = _Maps(jobs[0], ids)
    state = frozen_hash(jobs[0].encoder.image)
    used = sorted({i for images in sets for i in images})
    shares = _shares(jobs, used, maps.grid).to(jobs[0].encoder.device)
    place = {image: n for n, image in enumerate(used)}
    try:
        heads = fit_dense_heads(
            lambda places: maps.chunks([used[n] for n in places.tolist()], places),
            shares,
            [torch.tensor([place[i] for i in images]) for images in sets],
            rule.penalties,
        )
    except ValueError as reason:
        raise InputError(f"no head can be fitted: {reason}", file=jobs[0].task.name) from reason
    found = []
    for job in jobs:
        first = sets.index(job.data.train) * len(rule.penalties)
        read = _read(job, rule, maps, heads, first)
        found.append(Read(read.bits, {**read.notes, "encoder_frozen": True, "encoder_state": state}))
    if frozen_hash(jobs[0].encoder.image) != state:
        raise RuntimeError("the frozen encoder changed while heads were fitted")
    return found


class _Maps:
    """The pyramids of a cell's images: kept where they fit, computed in every pass where not."""

    def __init__(self, job: Job, ids: Sequence[str]) -> None:
        from g2d_bench.adapters.mm.backbone import kept_maps

        self._encoder = job.encoder
        self._table = job.data.pixels(job.encoder.card.image.size)
        self.levels, self._row = kept_maps(job, ids, cell_features, cell_bytes)
        self.grid: tuple[int, int] = cell_shapes(job.encoder)[0][1:]
        """Rows and columns of the cells."""

    def chunks(self, ids: Sequence[str], places: torch.Tensor | None = None) -> Iterable[Chunk]:
        """Yield the maps of some images, and their places among them (or those that are given)."""
        import torch

        known = torch.arange(len(ids)) if places is None else places
        if self.levels is None:
            start = 0
            for part, levels in _cells(self._encoder, self._table.pixels, self._table.rows(ids)):
                yield known[start : start + len(part)], levels
                start += len(part)
            return
        row = torch.tensor([self._row[i] for i in ids], device=self.levels[0].device)
        for start in range(0, len(ids), CHUNK):
            some = slice(start, start + CHUNK)
            yield known[some], [level[row[some]] for level in self.levels]


def cell_shapes(encoder: Encoder) -> list[tuple[int, int, int]]:
    """Return [C, H, W] per level of :func:`cell_features` for one image, the finest first."""
    from g2d_bench.encoders.features import pyramid_shapes

    most = max(1, encoder.card.image.size // STRIDE)
    return [(width, min(rows, most), min(columns, most)) for width, rows, columns in pyramid_shapes(encoder)]


def cell_bytes(encoder: Encoder) -> int:
    """Return the room that :func:`cell_features` of one image take."""
    return sum(4 * int(np.prod(shape)) for shape in cell_shapes(encoder))


def cell_features(encoder: Encoder, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[torch.Tensor]:
    """Compute the pyramids of some images; levels finer than :data:`STRIDE` are averaged down to it.

    Args:
        encoder: the frozen encoder.
        pixels: uint8 [M, S, S].
        rows: which images, in the order of the result.

    Returns:
        Per level float32 [N, C, H, W] where the encoder is.
    """
    from g2d_bench.encoders.features import empty_levels

    levels = empty_levels(encoder, len(rows), cell_shapes(encoder))
    start = 0
    for part, found in _cells(encoder, pixels, rows):
        for level, maps in zip(levels, found, strict=True):
            level[start : start + len(part)] = maps.to(level)
        start += len(part)
    return levels


def _cells(
    encoder: Encoder, pixels: NDArray[np.uint8], rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], list[torch.Tensor]]]:
    import torch.nn.functional as F

    from g2d_bench.encoders.features import forward

    shapes = cell_shapes(encoder)
    for part, features in forward(encoder, pixels, rows):
        yield (
            part,
            [
                maps[: len(part)]
                if maps.shape[1:] == shape
                else F.adaptive_avg_pool2d(maps[: len(part)].float(), shape[1:])
                for maps, shape in zip(features.pyramid, shapes, strict=True)
            ],
        )


def _shares(jobs: Sequence[Job], ids: Sequence[str], grid: tuple[int, int]) -> torch.Tensor:
    """Return what share of each cell shows the finding, [len(ids), H, W]."""
    import torch
    import torch.nn.functional as F

    side = jobs[0].task.eval_size
    bits = {
        image: mask
        for job in jobs
        for image, mask in zip(job.data.train, job.data.mask_bits("train"), strict=True)
    }
    found = []
    for start in range(0, len(ids), CHUNK):
        packed = np.stack([bits[i] for i in ids[start : start + CHUNK]])
        masks = torch.from_numpy(np.unpackbits(packed, axis=1, count=side * side)).view(-1, 1, side, side)
        found.append(F.interpolate(masks.float(), size=grid, mode="area")[:, 0])
    return torch.cat(found)


def _read(job: Job, rule: LinearSegmentation, maps: _Maps, heads: DenseHeads, first: int) -> Read:
    """Choose penalty and threshold on validation, and predict the test set once."""
    truth = job.data.mask_bits("val")
    if not truth.any():
        raise InputError(
            "no validation image shows the finding, so no threshold can be chosen", file=job.task.name
        )
    validation = {
        (n, threshold): segmentation_metrics(
            *counts(bits, truth), names=(rule.select,), batch=rule.batch_size
        )[rule.select]
        for (n, threshold), bits in _predicted(
            job, maps, heads, range(first, first + len(rule.penalties)), job.data.val, rule.thresholds
        ).items()
    }
    # Of equally good ones the strongest penalty, then the highest threshold: they claim least.
    best = max(validation, key=lambda choice: (validation[choice], *choice))
    number, threshold = best
    chosen = range(first + number, first + number + 1)
    bits = _predicted(job, maps, heads, chosen, job.data.test, (threshold,))[0, threshold]
    return Read(
        bits,
        {
            "penalty": rule.penalties[number],
            "penalty_at_edge": number in (0, len(rule.penalties) - 1),
            "threshold": threshold,
            "threshold_at_edge": threshold in (rule.thresholds[0], rule.thresholds[-1]),
            "converged": bool(heads.converged[first + number]),
            "validation": {rule.select: validation[best]},
            "dense_features": "computed once" if maps.levels is not None else "computed per pass",
        },
    )


def _predicted(
    job: Job,
    maps: _Maps,
    heads: DenseHeads,
    some: range,
    ids: Sequence[str],
    thresholds: Sequence[float],
) -> dict[tuple[int, float], NDArray[np.uint8]]:
    """Return per place in ``some`` heads and threshold the predicted masks, as bits [N, side * side / 8]."""
    import torch.nn.functional as F

    side = job.task.eval_size
    found: dict[tuple[int, float], list[NDArray[np.uint8]]] = {
        (n, threshold): [] for n in range(len(some)) for threshold in thresholds
    }
    # Where the maps do not fit, going through them runs the encoder: once for all heads.
    for _, levels in maps.chunks(ids):
        for n, head in enumerate(some):
            logits = heads.logits(levels, slice(head, head + 1))
            large = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
            values = large.cpu().numpy().reshape(len(large), -1)
            for threshold in thresholds:
                bits = np.packbits(values > np.log(threshold / (1 - threshold)), axis=1)
                found[n, threshold].append(bits)
    return {choice: np.concatenate(parts) for choice, parts in found.items()}
