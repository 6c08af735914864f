"""Our encoder, decoder and metric as mmseg and mmengine modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from g2d_bench.adapters.mm.backbone import EncoderBackbone
from g2d_bench.adapters.mm.libraries import UNUSED_BY_MMSEG, without
from g2d_bench.adapters.warp import Warps, warp
from g2d_bench.cards.protocol import VAL_LOSS
from g2d_bench.encoders.decoder import UNetDecoder

with without(UNUSED_BY_MMSEG):
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.registry import METRICS, MODELS
    from mmseg.structures import SegDataSample


class Rows(Dataset[dict[str, Any]]):
    """Images by row number: the pixels stay where they are until the backbone asks for them.

    Args:
        masks: bits of the true masks, [N, side * side / 8], in the order of ``rows``.
        rows: row of each image in the backbone's table.
        side: pixels per side of the masks.
        input_size: pixels per side that the decoder's output has.
        warps: turns and scales image and mask; None for none.
    """

    def __init__(
        self,
        masks: NDArray[np.uint8],
        rows: Sequence[int],
        side: int,
        input_size: int,
        warps: Warps | None = None,
    ) -> None:
        self._masks = masks
        self._rows = rows
        self._side = side
        self._warps = warps
        self._meta = {"ori_shape": (side, side), "img_shape": (input_size, input_size)}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        bits = np.unpackbits(self._masks[index], count=self._side * self._side)
        sample = SegDataSample(metainfo={**self._meta, "index": index})
        truth = torch.from_numpy(bits).view(1, self._side, self._side)
        row: Any = self._rows[index]
        if self._warps is not None:
            angle, scale = self._warps.draw()
            turn, grow = torch.tensor([angle]), torch.tensor([scale])
            truth = warp(truth[None].float(), turn, grow, nearest=True)[0].to(truth.dtype)
            row = (row, angle, scale)
        sample.gt_sem_seg = PixelData(data=truth)
        return {"inputs": row, "data_samples": sample}


@MODELS.register_module()
class G2DBenchEncoder(EncoderBackbone):
    """An encoder as an mmseg backbone: the whole pyramid.

    Beside row numbers there may be angle and scale, [B, 3]: the image is turned and scaled.
    """

    def augmented(self, images: Tensor, rows: Tensor) -> Tensor:
        """Turn and scale images where the rows say how."""
        if rows.ndim == 1:
            return images
        return warp(images[:, None].float(), rows[:, 1], rows[:, 2])[:, 0].round().to(torch.uint8)


@MODELS.register_module()
class G2DBenchUNetHead(BaseDecodeHead):
    """A U-Net decoder over the encoder's pyramid as an mmseg decode head, one foreground class.

    Args:
        decoder: the decoder; may come from pre-training.
        threshold: probability above which a pixel is foreground.
        loss: a name in :data:`LOSSES`.
    """

    def __init__(self, decoder: UNetDecoder, threshold: float, loss: str) -> None:
        super().__init__(
            in_channels=1,
            channels=1,
            num_classes=2,
            out_channels=1,
            threshold=threshold,
            dropout_ratio=0,
            loss_decode={"type": "CrossEntropyLoss", "use_sigmoid": True},
        )
        del self.conv_seg
        self.init_cfg = None
        self.decoder = decoder
        self._loss = LOSSES[loss]
        self._last: Tensor | None = None

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Return logits [B, 1, H, W] at the encoder's input size."""
        logits: Tensor = self.decoder(inputs)
        # mmseg hands on probabilities alone, in which the loss cannot be told exactly.
        self._last = None if self.training else logits
        return logits

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[Any]) -> dict[str, Tensor]:
        """Compare logits with the true masks, averaged down to the size of the logits."""
        return {"loss": self.compare(seg_logits, self._stack_batch_gt(batch_data_samples))}

    def loss_of_last(self, truth: Tensor) -> float:
        """Return the loss of the batch that was predicted last, for its true masks [B, 1, H, W]."""
        assert self._last is not None
        return float(self.compare(self._last.float(), truth.to(self._last.device)))

    def compare(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of logits [B, 1, H, W] for true masks [B, 1, side, side]."""
        return self._loss(logits, F.interpolate(truth.float(), size=logits.shape[2:], mode="area"))


def bce_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice loss over the batch.

    Args:
        logits: [B, 1, H, W].
        truth: [B, 1, H, W] in [0, 1]; may be soft.

    Returns:
        mean BCE + 1 - (2 sum(p t) + 1) / (sum p + sum t + 1), sums over the whole batch, so that empty
        images count through their false positives (soft Dice after Milletari et al., 2016, with
        the denominator linear).
    """
    return F.binary_cross_entropy_with_logits(logits, truth) + 1 - _dice(logits, truth)


def focal_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss less the logarithm of soft Dice (the loss of MGCA's segmentation).

    Args:
        logits: [B, 1, H, W].
        truth: [B, 1, H, W] in [0, 1]; may be soft.

    Returns:
        10 mean((1 - q)^2 BCE) - log Dice. q = sigmoid(x (2 t - 1)) is the probability of what is true (focal
        loss: Lin et al., ICCV 2017, with gamma 2); Dice is that of :func:`bce_dice`.
    """
    wrong = torch.sigmoid(logits * (1 - 2 * truth))
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return 10 * (wrong**2 * entropy).mean() - _dice(logits, truth).log()


def _dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice of a whole batch, smoothed by 1."""
    probability = logits.sigmoid()
    overlap = (probability * truth).sum()
    return (2 * overlap + 1) / (probability.sum() + truth.sum() + 1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"bce_dice": bce_dice, "focal_dice": focal_dice}
"""By the names that protocol cards have for them."""


@METRICS.register_module()
class G2DBenchLoss(BaseMetric):
    """The training loss on other images: of each batch of the loop, then averaged.

    Args:
        head: whose predictions are compared.
    """

    default_prefix = None

    def __init__(self, head: G2DBenchUNetHead) -> None:
        super().__init__()
        self._head = head

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the loss of one batch, right after it was predicted."""
        truth = torch.stack([sample["gt_sem_seg"]["data"] for sample in data_samples])
        self.results.append(self._head.loss_of_last(truth))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """Average over batches."""
        return {VAL_LOSS: float(np.mean(results))}


def mask_bits(sample: dict[str, Any]) -> NDArray[np.uint8]:
    """Read the mask that mmseg predicted of one image, as bits."""
    return np.packbits(sample["pred_sem_seg"]["data"].bool().cpu().numpy().ravel())
