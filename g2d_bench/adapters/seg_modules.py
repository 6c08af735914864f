"""Our encoder, decoder and metric as mmseg and mmengine modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseDataPreprocessor, BaseModule
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import METRICS, MODELS
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.load import Encoder


class Rows(Dataset[dict[str, Any]]):
    """Images by row number: the pixels stay where they are until the backbone asks for them.

    Args:
        masks: bits of the true masks, [N, side * side / 8], in the order of ``rows``.
        rows: row of each image in the backbone's table.
        side: pixels per side of the masks.
        input_size: pixels per side that the decoder's output has.
    """

    def __init__(self, masks: NDArray[np.uint8], rows: Sequence[int], side: int, input_size: int) -> None:
        self._masks = masks
        self._rows = rows
        self._side = side
        self._meta = {"ori_shape": (side, side), "img_shape": (input_size, input_size)}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        bits = np.unpackbits(self._masks[index], count=self._side * self._side)
        sample = SegDataSample(metainfo={**self._meta, "index": index})
        truth = torch.from_numpy(bits).view(1, self._side, self._side)
        sample.gt_sem_seg = PixelData(data=truth)
        return {"inputs": self._rows[index], "data_samples": sample}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a batch: row numbers [B] and the list of data samples."""
    return {
        "inputs": torch.tensor([item["inputs"] for item in items]),
        "data_samples": [item["data_samples"] for item in items],
    }


class G2DBenchPreprocessor(BaseDataPreprocessor):
    """Only moves a batch to the device; normalisation belongs to the encoder."""


@MODELS.register_module()
class G2DBenchEncoder(BaseModule):
    """One of our encoders as an mmseg backbone.

    Its input is row numbers [B]; the images come from a table of letterboxed pixels, or, for a frozen
    encoder, their pyramids from a table that was computed once.

    Args:
        encoder: the loaded encoder.
        pixels: uint8 images [N, S, S].
        pyramids: dense features [N, C, H, W] per level, or None to compute them.
        tuning: ``frozen`` or ``finetune``.
        batchnorm: ``frozen`` keeps BatchNorm in eval mode.
    """

    def __init__(
        self,
        encoder: Encoder,
        pixels: NDArray[np.uint8],
        pyramids: list[Tensor] | None,
        tuning: str,
        batchnorm: str,
    ) -> None:
        super().__init__()
        self.body = encoder.image
        self._encoder = encoder
        self._pixels = pixels
        self._pyramids = pyramids
        self._frozen = tuning == "frozen"
        self._freeze_norm = batchnorm == "frozen"
        self.body.requires_grad_(not self._frozen)

    def train(self, mode: bool = True) -> G2DBenchEncoder:
        """Switch mode; what is frozen stays in eval mode whatever the loop asks for."""
        if self._frozen and self._freeze_norm:
            # mmengine asks in every step; going through all modules twice each time would be felt.
            self.training = mode
            if self.body.training:
                self.body.eval()
            return self
        super().train(mode)
        if self._freeze_norm:
            for module in self.body.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, rows: Tensor) -> list[Tensor]:
        """Return the pyramid of the images in ``rows`` [B], fine to coarse."""
        if self._pyramids is not None:
            maps = (level[rows.to(level.device)].to(rows.device) for level in self._pyramids)
            return [level.contiguous(memory_format=torch.channels_last) for level in maps]
        images = torch.from_numpy(self._pixels[rows.cpu().numpy()]).to(rows.device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            return list(self.body(self._encoder.preprocess(images)).pyramid)


@MODELS.register_module()
class G2DBenchUNetHead(BaseDecodeHead):
    """A U-Net decoder over the encoder's pyramid as an mmseg decode head, one foreground class.

    Args:
        decoder: the decoder; may come from pre-training.
        threshold: probability above which a pixel is foreground.
    """

    def __init__(self, decoder: UNetDecoder, threshold: float) -> None:
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

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Return logits [B, 1, H, W] at the encoder's input size."""
        logits: Tensor = self.decoder(inputs)
        return logits

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[Any]) -> dict[str, Tensor]:
        """Compare logits with the true masks, averaged down to the size of the logits."""
        truth = self._stack_batch_gt(batch_data_samples).float()
        truth = F.interpolate(truth, size=seg_logits.shape[2:], mode="area")
        return {"loss": bce_dice(seg_logits, truth)}


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
    probability = logits.sigmoid()
    overlap = (probability * truth).sum()
    dice = (2 * overlap + 1) / (probability.sum() + truth.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, truth) + 1 - dice


@METRICS.register_module()
class G2DBenchMasks(BaseMetric):
    """Collects predicted masks as bits; scores them when the loop ends.

    Args:
        score: predicted bits [N, side * side / 8], in the order of the loop's data set, to metrics.
    """

    default_prefix = None

    def __init__(self, score: Callable[[NDArray[np.uint8]], dict[str, float]]) -> None:
        super().__init__()
        self._score = score
        self.bits: NDArray[np.uint8] | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep one batch of predictions."""
        for sample in data_samples:
            mask = sample["pred_sem_seg"]["data"].bool().cpu().numpy()
            self.results.append((sample["index"], np.packbits(mask.ravel())))

    def compute_metrics(self, results: list[tuple[int, NDArray[np.uint8]]]) -> dict[str, float]:
        """Score all predictions together, not batch by batch."""
        ordered = sorted(results, key=lambda item: item[0])
        self.bits = np.stack([bits for _, bits in ordered])
        return self._score(self.bits)
