"""Heat maps on the evaluation grid, beside the regions that they should find."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters.base import Job, Outcome
from g2d_bench.cards.arrays import REAL, Rule, count
from g2d_bench.cards.kind import Sources
from g2d_bench.metrics.grounding import (
    BELOW_ALL,
    THRESHOLDS,
    below_all,
    choose_map_threshold,
    read_maps,
    union_mask,
)
from g2d_bench.metrics.registry import measure
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.images import Letterbox

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData

T = TypeVar("T")
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


def letterboxes(data: TaskData, ids: Iterable[str]) -> list[Letterbox]:
    """Return where each image lies on the task's evaluation grid."""
    sizes = data.manifest.sizes[data.manifest.rows(ids)]
    return [Letterbox.of((int(rows), int(columns)), data.task.eval_size) for rows, columns in sizes]


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


def mean_regions(regions: Sequence[tuple[str, Mask]], labels: Sequence[str], size: int) -> dict[str, Heat]:
    """Return the mean region of each label; ``regions`` name theirs."""
    return {
        label: mean_region((drawn for found, drawn in regions if found == label), size) for label in labels
    }


def in_parts(data: TaskData, found: Callable[[Sample, Sequence[str]], Sequence[T]]) -> dict[str, list[T]]:
    """Return what is asked for in each part: what ``found`` finds of the task's labels in each image."""
    return {
        part: [one for i in ids for one in found(data.samples[i], data.task.labels)]
        for part, ids in data.split.parts.items()
    }


def image_blind(
    val: Pairs, test: Pairs, extra: Mapping[str, NDArray[Any]], blind: Blind, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the metrics of maps that look at no image, by the name of what made them.

    Args:
        val: regions of validation; its maps are not looked at.
        test: of the test set, likewise.
        extra: arrays beside the reduced maps that metrics read.
        blind: the maps.
        names: metrics.
    """
    found = {}
    for name, (first, second) in blind.items():
        threshold = choose_map_threshold(val.asked(first))
        stored = {**extra, **read_maps(test.asked(second), threshold=threshold)}
        found[name] = measure(stored, tuple(names))
    return found


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what a record notes of its maps: that none of them reaches a threshold."""
    if "cosine_predicted" not in predictions:
        return {}
    return {BELOW_ALL: below_all(predictions) or None}


def told(sources: Sources) -> dict[str, Any]:
    """Return what a record notes of its maps and prompts, as far as the cards tell."""
    task, card = sources.task, sources.encoder
    cells = str(sources.notes.get("map", "")).partition(" ")[0]
    found: dict[str, Any] = {"map": f"{cells} cells, bilinear to {task.eval_size}"}
    if task.prompts is None:
        return found
    found |= {"prompts.set": task.prompts.name, "prompts.hash": task.prompts.digest(task.labels)}
    if card is not None:
        whose = {label: task.prompts.of(label, card.objective)[1] for label in task.labels}
        found["prompts.of"] = whose if len(whose) > 1 else whose[task.labels[0]]
    return found


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
    threshold = choose_map_threshold(val)
    stored = {**extra, **read_maps(test, threshold=threshold)}
    key = (job.task.digest(job.data.split_name), job.data.manifest.content_hash, job.data.split.hash)
    if key not in _image_blind:
        _image_blind[key] = image_blind(val, test, extra, references(), names)
    return Outcome(
        metrics=measure(stored, names),
        references=copy.deepcopy(_image_blind[key]),
        # No metric reads them; pictures are drawn from them, and compact copies leave them out.
        predictions={**stored, "heat": np.stack(list(test.heats)).astype(np.float16)},
        notes={
            **notes,
            "threshold": None if np.isnan(threshold) else threshold,
            **{name: text for name, text in noted(stored).items() if text is not None},
            "map": f"{'x'.join(map(str, test.heats[0].shape))} cells, bilinear to {job.task.eval_size}",
        },
    )
