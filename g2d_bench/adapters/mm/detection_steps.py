"""Detection on a GPU: what each training image has to teach is found once and stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from g2d_bench.adapters.dense import EVAL_BATCH, DenseRule
from g2d_bench.adapters.finetune import batches
from g2d_bench.adapters.mm.backbone import collate
from g2d_bench.adapters.mm.detection import BoxRows, FoundBoxes, G2DBenchYOLOHead, grids, read_boxes
from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.adapters.mm.runner import Trained, quiet
from g2d_bench.adapters.mm.steps import learn
from g2d_bench.devices import Precision, half
from g2d_bench.progress import track

if TYPE_CHECKING:
    from mmdet.models.detectors import YOLOV3

SOME = 256
"""Images whose targets are found at a time."""


class Targets:
    """What to learn at each anchor of each training image, on a device.

    Args:
        head: finds it.
        images: the training set.
        size: side of the encoder's input.
        device: where it is wanted.
    """

    def __init__(self, head: G2DBenchYOLOHead, images: BoxRows, size: int, device: torch.device) -> None:
        sides = list(reversed(grids(size)))
        self.rows = torch.tensor([images[n]["inputs"] for n in range(len(images))], device=device)
        levels: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in sides]
        for start in track(range(0, len(images), SOME), "targets", unit="batch"):
            numbers = range(start, min(start + SOME, len(images)))
            true = [images[n]["data_samples"].gt_instances for n in numbers]
            found = head.target_maps([(side, side) for side in sides], true, numbers)
            for level, target, negative in zip(levels, *found, strict=True):
                level[0].append(target.to(device))
                level[1].append(negative.to(device))
        self.maps = [torch.cat(target) for target, _ in levels]
        self.negatives = [torch.cat(negative) for _, negative in levels]


def train(
    model: YOLOV3,
    rule: DenseRule,
    plan: Plan,
    parts: dict[str, BoxRows],
    size: int,
    score: Callable[[list[FoundBoxes]], float],
    *,
    seed: int,
    device: torch.device,
    precision: Precision,
) -> tuple[Trained, list[FoundBoxes]]:
    """Train a detector as :func:`~g2d_bench.adapters.mm.runner.build_runner` does, and predict the test set.

    Args:
        model: backbone, neck and head; moved to the device.
        rule: how batches are made up.
        plan: optimiser, schedule and choice.
        parts: images with their boxes: ``train``, ``val`` and ``test``.
        size: side of the encoder's input.
        score: of the boxes found in the validation set, in its order; greater is better.
        seed: of the order.
        device: where to train.
        precision: in which the model computes.

    Returns:
        What was trained, without metrics of the test set, and the boxes found in the test set.
    """
    head: G2DBenchYOLOHead = model.bbox_head
    with quiet(), torch.random.fork_rng():
        # As mmengine's loop does before its first step, and on the processor, where numbers are drawn alike.
        torch.manual_seed(seed)
        model.init_weights()
    targets = Targets(head, parts["train"], size, device)
    model.to(device)

    def loss(chosen: Tensor) -> Tensor:
        maps = head(model.neck(model.backbone(targets.rows[chosen])))[0]
        terms: list[list[Tensor]] = [[], [], [], []]
        with torch.autocast(device.type, enabled=False):
            for level, target, negative in zip(maps, targets.maps, targets.negatives, strict=True):
                found = head.loss_by_feat_single(level.float(), target[chosen], negative[chosen])
                for term, value in zip(terms, found, strict=True):
                    term.append(value.mean())
            sums = [sum(values[1:], start=values[0]) for values in terms]
            return sum(sums[1:], start=sums[0])

    def predicted(part: str) -> list[FoundBoxes]:
        found: list[tuple[int, FoundBoxes]] = []
        for batch in _pieces(parts[part], EVAL_BATCH):
            maps = head(model.neck(model.backbone(batch["inputs"].to(device))))[0]
            metas = [sample.metainfo for sample in batch["data_samples"]]
            with torch.autocast(device.type, enabled=False):
                maps = tuple(level.float() for level in maps)
                boxes = head.predict_by_feat(maps, batch_img_metas=metas, rescale=True)
            found += [(meta["index"], read_boxes(one)) for meta, one in zip(metas, boxes, strict=True)]
        return [boxes for _, boxes in sorted(found, key=lambda item: item[0])]

    taken, choice = learn(
        model,
        batches(len(parts["train"]), rule.batch_size, seed),
        loss,
        lambda: score(predicted("val")),
        plan,
        device=device,
        precision=precision,
    )
    with torch.inference_mode(), half(device, precision):
        boxes = predicted("test")
    return Trained(taken, choice.step, choice.score), boxes


def _pieces(images: BoxRows, size: int) -> Iterator[dict[str, Any]]:
    for start in range(0, len(images), size):
        yield collate([images[n] for n in range(start, min(start + size, len(images)))])
