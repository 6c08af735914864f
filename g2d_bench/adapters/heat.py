"""Heat maps on the evaluation grid, beside the regions that they should find."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters.base import Job, Outcome
from g2d_bench.cards.arrays import REAL, Rule, count
from g2d_bench.metrics.grounding import (
    BELOW_ALL,
    THRESHOLDS,
    below_all,
    choose_map_threshold,
    read_maps,
    union_mask,
)
from g2d_bench.metrics.registry import measure
from g2d_bench.readers.base import Box
from g2d_bench.readers.images import Letterbox

Heat = NDArray[np.float32]
Mask = NDArray[np.bool_]
Blind = dict[str, tuple[Sequence[Heat], Sequence[Heat]]]
"""Name of a predictor that looks at no image to its maps on validation and test."""


def enlarge(heat: Heat, box: Letterbox) -> Heat:
    """Bring a map [h, w] to the evaluation grid [S, S], bilinearly, corners not aligned.

    Args:
        heat: over the whole letterboxed square, as the encoder saw it.
        box: where the image lies in the square. Around it the result is NaN: padding is no part of the image,
            so it can neither be predicted nor count as outside.
    """
    import torch
    from torch.nn.functional import interpolate

    square = interpolate(
        torch.from_numpy(np.ascontiguousarray(heat))[None, None],
        size=(box.size, box.size),
        mode="bilinear",
        align_corners=False,
    )[0, 0]
    full = np.full((box.size, box.size), np.nan, np.float32)
    inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    full[inside] = square.numpy()[inside]
    return full


@dataclass(frozen=True)
class Pairs(Sequence[tuple[Heat, Mask]]):
    """Maps and regions of a part of the split, brought to the evaluation grid when they are looked at.

    Attributes:
        heats: [h, w] each.
        regions: from place to region [S, S].
        boxes: where each image lies in its square.
    """

    heats: Sequence[Heat]
    regions: Callable[[int], Mask]
    boxes: Sequence[Letterbox]

    def __len__(self) -> int:
        return len(self.heats)

    @overload
    def __getitem__(self, place: int) -> tuple[Heat, Mask]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[Heat, Mask]]: ...
    def __getitem__(self, place: int | slice) -> tuple[Heat, Mask] | Sequence[tuple[Heat, Mask]]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        return enlarge(self.heats[place], self.boxes[place]), self.regions(place)

    def asked(self, heats: Sequence[Heat]) -> Pairs:
        """Return the same regions with other maps."""
        return Pairs(heats, self.regions, self.boxes)


def letterboxes(job: Job, ids: Iterable[str]) -> list[Letterbox]:
    """Return where each image lies on the task's evaluation grid."""
    sizes = job.data.manifest.sizes[job.data.manifest.rows(ids)]
    return [Letterbox.of((int(rows), int(columns)), job.task.eval_size) for rows, columns in sizes]


def region(boxes: Sequence[Box], box: Letterbox) -> Mask:
    """Draw boxes on the evaluation grid [S, S]; one too small to cover a pixel's centre keeps the pixel."""
    raw = np.array([[one.x, one.y, one.w, one.h] for one in boxes])
    placed = box.boxes_forward(raw)
    mask = union_mask([(x, y, w, h) for x, y, w, h in placed.tolist()], (box.size, box.size))
    if not mask.any():
        x, y, w, h = placed[0]
        mask[min(int(y + h / 2), box.size - 1), min(int(x + w / 2), box.size - 1)] = True
    return mask


def mean_region(regions: Iterable[Mask], size: int) -> Heat:
    """Return how often each pixel is inside, [size, size]; zeros where there is no region."""
    total, seen = np.zeros((size, size)), 0
    for region in regions:
        total += region
        seen += 1
    return np.asarray(total / max(seen, 1), np.float32)


_PARTS = ("common", "predicted")
ARRAYS = {
    "true": Rule("iu", ("N",)),
    **{f"{cut}_{part}": count("N", len(THRESHOLDS)) for cut in ("cosine", "minmax") for part in _PARTS},
    **{f"{cut}_{part}": count("N") for cut in ("chosen", "medklip") for part in _PARTS},
    **{f"{side}_{what}": REAL for side in ("inside", "outside") for what in ("mean", "variance")},
    "hit": Rule("biuf", ("N",), 0, 1, nan=True),
}
"""What records keep of maps."""

_image_blind: dict[tuple[str, str, str], dict[str, dict[str, float]]] = {}
"""Metrics of the maps that look at no image, by task, data and split: they are the same for all encoders."""


def judge(
    job: Job,
    val: Pairs,
    test: Pairs,
    extra: dict[str, NDArray[Any]],
    references: Callable[[], Blind],
    notes: dict[str, Any],
    names: tuple[str, ...] = (),
) -> Outcome:
    """Score the maps of the test set at the threshold from validation.

    Args:
        job: the cell.
        val: maps and regions of validation.
        test: of the test set.
        extra: arrays to keep beside the reduced maps; ``id`` and ``patient`` at least.
        references: makes the maps of image-blind predictors; asked for the first encoder only.
        notes: facts for the record.
        names: metrics; those of the task's card if empty.
    """
    names = names or job.task.metrics

    def reduced(val: Pairs, test: Pairs) -> tuple[dict[str, NDArray[Any]], float]:
        threshold = choose_map_threshold(val)
        return {**extra, **read_maps(test, threshold=threshold)}, threshold

    stored, threshold = reduced(val, test)
    key = (job.task.digest(job.data.split_name), job.data.manifest.content_hash, job.data.split.hash)
    if key not in _image_blind:
        _image_blind[key] = {
            name: measure(reduced(val.asked(first), test.asked(second))[0], names)
            for name, (first, second) in references().items()
        }
    return Outcome(
        metrics=measure(stored, names),
        references=copy.deepcopy(_image_blind[key]),
        # No metric reads them; pictures are drawn from them, and compact copies leave them out.
        predictions={**stored, "heat": np.stack(list(test.heats)).astype(np.float16)},
        notes={
            **notes,
            "threshold": None if np.isnan(threshold) else threshold,
            **({BELOW_ALL: why} if (why := below_all(stored)) else {}),
            "map": f"{'x'.join(map(str, test.heats[0].shape))} cells, bilinear to {job.task.eval_size}",
        },
    )
