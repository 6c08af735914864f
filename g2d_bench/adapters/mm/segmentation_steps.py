"""Segmentation on a GPU: masks, images and predictions stay there, and whole batches are read at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.adapters.dense import EVAL_BATCH, DenseRule
from g2d_bench.adapters.finetune import batches
from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.adapters.mm.runner import Trained
from g2d_bench.adapters.mm.segmentation import G2DBenchUNetHead
from g2d_bench.adapters.mm.steps import learn
from g2d_bench.adapters.warp import Warps, warp
from g2d_bench.devices import Precision, half

if TYPE_CHECKING:
    from mmseg.models.segmentors import EncoderDecoder

Bits = NDArray[np.uint8]

PLACES = (128, 64, 32, 16, 8, 4, 2, 1)
"""What each bit of a byte counts, first to last as ``numpy.packbits`` fills it."""


class Masks:
    """True masks of one part of the split, on a device.

    Args:
        bits: [N, side * side / 8].
        side: pixels per side.
        device: where they are wanted.
    """

    def __init__(self, bits: Bits, side: int, device: torch.device) -> None:
        self._bits = torch.from_numpy(np.ascontiguousarray(bits)).to(device)
        self._places = torch.tensor(PLACES, dtype=torch.uint8, device=device)
        self._side = side

    def __len__(self) -> int:
        return len(self._bits)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Return uint8 [B, 1, side, side] of zeros and ones."""
        bits = (self._bits[rows][..., None] & self._places) != 0
        return bits.to(torch.uint8).flatten(1)[:, : self._side**2].view(-1, 1, self._side, self._side)


def train(
    model: EncoderDecoder,
    rule: DenseRule,
    plan: Plan,
    truth: Mapping[str, Bits],
    places: Mapping[str, Sequence[int]],
    side: int,
    size: int,
    score: Callable[[Bits], float],
    *,
    warps: Warps | None,
    seed: int,
    device: torch.device,
    precision: Precision,
) -> tuple[Trained, Bits]:
    """Train a segmentor as :func:`~g2d_bench.adapters.mm.runner.build_runner` does, and predict the test set.

    Args:
        model: backbone and head; moved to the device.
        rule: how batches are made up.
        plan: optimiser, schedule and choice.
        truth: bits of the true masks per part.
        places: per part the rows of its images in the backbone's table.
        side: pixels per side of the masks.
        size: pixels per side of the encoder's input, which is also the decoder's output.
        score: of predicted bits of the validation set; greater is better.
        warps: turns and scales images and masks of the training set; None for none.
        seed: of the order.
        device: where to train.
        precision: in which the model computes.

    Returns:
        What was trained, without metrics of the test set, and the predicted bits of the test set.
    """
    model.to(device)
    head: G2DBenchUNetHead = model.decode_head
    masks = {part: Masks(truth[part], side, device) for part in ("train", "val")}
    rows = {part: torch.tensor(list(places[part]), device=device) for part in places}

    def order() -> Iterator[Tensor]:
        for chosen in batches(len(masks["train"]), rule.batch_size, seed):
            if warps is None:
                yield chosen
            else:
                drawn = torch.tensor([warps.draw() for _ in chosen])
                yield torch.cat([chosen[:, None], drawn.to(torch.float64)], dim=1)

    def compare(logits: Tensor, true: Tensor) -> Tensor:
        with torch.autocast(device.type, enabled=False):
            return head.compare(logits.float(), true)

    def loss(chosen: Tensor) -> Tensor:
        number = chosen[:, 0].long() if chosen.ndim == 2 else chosen
        true, inputs = masks["train"][number], rows["train"][number]
        if chosen.ndim == 2:
            angle, scale = chosen[:, 1].float(), chosen[:, 2].float()
            true = warp(true.float(), angle, scale, nearest=True)
            inputs = torch.cat([inputs[:, None].double(), chosen[:, 1:]], dim=1).float()
        return compare(head(model.backbone(inputs)), true)

    def logits_of(part: str, batch: int, drop_last: bool = False) -> Iterator[tuple[slice, Tensor]]:
        count = len(rows[part])
        stop = count // batch * batch if drop_last and count >= batch else count
        for start in range(0, stop, batch):
            piece = slice(start, min(start + batch, stop))
            yield piece, head(model.backbone(rows[part][piece])).float()

    def predicted(part: str) -> Bits:
        found = []
        for _, logits in logits_of(part, EVAL_BATCH):
            for wanted in (size, side):
                if logits.shape[-1] != wanted:
                    logits = F.interpolate(logits, (wanted, wanted), mode="bilinear", align_corners=False)
            found.append(packed(logits.sigmoid() > head.threshold))
        bits: Bits = torch.cat(found).cpu().numpy()
        return bits

    def validate() -> float:
        if not plan.lower_is_better:
            return score(predicted("val"))
        losses = [
            compare(logits, masks["val"][piece])
            for piece, logits in logits_of("val", rule.batch_size, rule.drop_last)
        ]
        return float(torch.stack(losses).double().mean())

    taken, choice = learn(model, order(), loss, validate, plan, device=device, precision=precision)
    with torch.inference_mode(), half(device, precision):
        bits = predicted("test")
    return Trained(taken, choice.step, choice.score), bits


def packed(mask: Tensor) -> Tensor:
    """Pack masks [B, ...] as ``numpy.packbits`` does each of them: uint8 [B, bytes]."""
    flat = mask.flatten(1).to(torch.uint8)
    flat = F.pad(flat, (0, -flat.shape[1] % 8))
    places = torch.tensor(PLACES, dtype=torch.uint8, device=mask.device)
    return (flat.view(len(flat), -1, 8) * places).sum(dim=2, dtype=torch.int32).to(torch.uint8)
