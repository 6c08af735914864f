"""The U-Net decoder over an image encoder's pyramid, in pre-training (G2D) and in segmentation alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.shadow import built_for
from g2d_bench.errors import InputError

PAPER_WIDTHS = (256, 128, 64, 32, 16)
"""Widths for a ResNet-50: the defaults of segmentation-models-pytorch (smp), which the G2D release uses."""

PHANTOM_WIDTHS = (64, 32, 16, 8)
"""Widths at phantom scale: a quarter of a million parameters over channels (16, 16, 32, 64, 192). One block
fewer than doublings: at full resolution a block would cost twice as much as all others together."""

Norm = Literal["batch", "group"]
Upsample = Literal["nearest", "bilinear"]


class UNetDecoder(nn.Module):
    """From a pyramid to one logit per input pixel (U-Net, Ronneberger et al. 2015, without cropping).

    Each block doubles the resolution, joins the next finer map of the pyramid and convolves twice (3x3
    convolution, normalisation, ReLU); blocks after the last map join nothing; a 3x3 convolution with bias
    ends it. With fewer blocks than doublings, the logits are upsampled (bilinearly) to the input's size. With
    the defaults this is the arithmetic of smp's decoder, so that a decoder of the G2D release can be loaded
    (:func:`load_smp_decoder`).

    In a pyramid whose maps share a stride (ViT), blocks that need not double do not, and maps are resized
    (bilinearly) to the block that joins them.

    Args:
        channels: C_k of the pyramid, fine to coarse.
        strides: input pixels per cell of each map: powers of two that never fall, or one number for all maps.
        widths: output channels of each block, coarse to fine.
        out_channels: maps in the output.
        norm: ``batch``, or ``group`` (8 groups, or the largest smaller number that divides) where batches
            are too small for batch statistics.
        upsample: how the resolution is doubled.

    Attributes:
        options: keyword arguments (JSON values) that build the same decoder over the same pyramid.

    Raises:
        InputError: strides that are no such powers of two, no width, or one below 1.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        widths: Sequence[int] = PAPER_WIDTHS,
        out_channels: int = 1,
        *,
        norm: Norm = "batch",
        upsample: Upsample = "nearest",
    ) -> None:
        super().__init__()
        doublings = _doublings(channels, strides, widths)
        self.options: dict[str, Any] = {
            "widths": list(widths),
            "out_channels": out_channels,
            "norm": norm,
            "upsample": upsample,
        }
        self.upsample = upsample
        self.levels = len(channels)
        self._enlarge = 2 ** max(doublings - len(widths), 0)
        self._doubles = [index >= len(widths) - doublings for index in range(len(widths))]
        skips = [*reversed(channels[:-1]), *([0] * len(widths))][: len(widths)]
        inputs = [channels[-1], *widths[:-1]]
        self.blocks = nn.ModuleList(
            _Block(below + skip, width, norm)
            for below, skip, width in zip(inputs, skips, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], out_channels, 3, padding=1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Decode maps [B, C_k, H_k, W_k], fine to coarse.

        Returns:
            Logits [B, out_channels, H, W] at the size of the encoder's input; where that is not a multiple
            of the coarsest stride, of the multiple that the pyramid's sizes amount to.

        Raises:
            ValueError: another number of maps than the decoder was built for.
        """
        if len(pyramid) != self.levels:
            raise ValueError(f"the decoder was built for {self.levels} maps, not {len(pyramid)}")
        x, finer = pyramid[-1], list(pyramid[-2::-1])
        for index, (block, doubles) in enumerate(zip(self.blocks, self._doubles, strict=True)):
            size = (2 * x.shape[2], 2 * x.shape[3]) if doubles else (x.shape[2], x.shape[3])
            skip = finer[index] if index < len(finer) else None
            if skip is not None and _near(size, skip):
                size = (skip.shape[2], skip.shape[3])  # odd sides: 10 cells at stride 32 meet 19 at stride 16
            x = _resized(x, size, self.upsample)
            if skip is not None:
                x = torch.cat([x, _resized(skip, size, "bilinear")], dim=1)
            x = block(x)
        logits = cast(Tensor, self.head(x))
        size = (self._enlarge * logits.shape[2], self._enlarge * logits.shape[3])
        return _resized(logits, size, "bilinear")


class _Block(nn.Module):
    """Two convolutions, each with normalisation and ReLU."""

    def __init__(self, inputs: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, norm)
        self.conv2 = _conv(width, width, norm)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv2(self.conv1(x)))


def load_smp_decoder(
    state: Mapping[str, Tensor],
    channels: Sequence[int],
    strides: Sequence[int],
    *,
    prefix: str = "",
    file: Path | None = None,
) -> UNetDecoder:
    """Build a decoder from the state dict of an ``smp.Unet``, as the G2D release writes them.

    Args:
        state: entries ``decoder.blocks.N.conv1.0.weight`` and so on and ``segmentation_head.0.*``; others,
            such as the encoder's, are left alone.
        channels: of the encoder.
        strides: of the encoder.
        prefix: what stands before ``decoder.`` and ``segmentation_head.``, such as ``img_model.``.
        file: for messages.

    Raises:
        InputError: no decoder under the prefix, an entry of it is missing, unknown or of another shape.
    """
    starts = {f"{prefix}decoder.blocks.": "blocks.", f"{prefix}segmentation_head.0.": "head."}
    ours = {
        new + name.removeprefix(old): tensor
        for name, tensor in state.items()
        for old, new in starts.items()
        if name.startswith(old)
    }
    widths: list[int] = []
    while (weight := ours.get(f"blocks.{len(widths)}.conv2.0.weight")) is not None:
        widths.append(_outputs(weight))
    if not widths or "head.weight" not in ours:
        raise InputError(f"no U-Net decoder under {prefix!r}", file=file, field="decoder")
    outputs = _outputs(ours["head.weight"])
    try:
        return built_for(ours, lambda: UNetDecoder(channels, strides, widths, outputs))
    except (InputError, RuntimeError, ValueError) as error:
        raise InputError(f"does not fit: {error}", file=file, field="decoder") from None


def _outputs(weight: Tensor) -> int:
    """How many channels a convolution gives, 0 where its weight is none."""
    return int(weight.shape[0]) if weight.ndim == 4 else 0


def _conv(inputs: int, width: int, norm: Norm) -> nn.Sequential:
    groups = max(number for number in range(1, 9) if width % number == 0)
    layer = nn.BatchNorm2d(width) if norm == "batch" else nn.GroupNorm(groups, width)
    return nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1, bias=False), layer, nn.ReLU(inplace=True))


def _resized(x: Tensor, size: tuple[int, int], mode: Upsample) -> Tensor:
    if (x.shape[2], x.shape[3]) == size:
        return x
    if mode == "bilinear" and x.is_cuda and x.requires_grad and size == (2 * x.shape[2], 2 * x.shape[3]):
        return doubled(x)
    return functional.interpolate(x, size=size, mode=mode, align_corners=None if mode == "nearest" else False)


def doubled(x: Tensor) -> Tensor:
    """Double the sides of maps [B, C, H, W], bilinearly, corners not aligned.

    By sums of shifted maps, whose gradient a GPU adds up in one order; that of ``interpolate`` it adds up in
    any, or slowly.
    """
    for dim in (2, 3):
        first, last = x.narrow(dim, 0, 1), x.narrow(dim, -1, 1)
        before = torch.cat([first, x.narrow(dim, 0, x.shape[dim] - 1)], dim)
        behind = torch.cat([x.narrow(dim, 1, x.shape[dim] - 1), last], dim)
        pair = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * behind], dim + 1)
        x = pair.flatten(dim, dim + 1)
    return x


def _near(size: tuple[int, int], skip: Tensor) -> bool:
    """Whether a map has the stride that is asked for, its side being odd perhaps."""
    return abs(size[0] - skip.shape[2]) <= 1 and abs(size[1] - skip.shape[3]) <= 1


def _doublings(channels: Sequence[int], strides: Sequence[int], widths: Sequence[int]) -> int:
    if len(channels) != len(strides) or not strides:
        raise InputError(f"{len(channels)} channels for {len(strides)} strides", field="decoder")
    if len(set(strides)) == 1 and strides[0] > 2:
        # Patches of 14 pixels: as many doublings as bring the cells nearest to the input's size.
        doublings = round(math.log2(strides[0]))
    elif any(stride < 2 or stride & (stride - 1) for stride in strides) or list(strides) != sorted(strides):
        raise InputError(f"strides must be rising powers of two, not {tuple(strides)}", field="decoder")
    else:
        doublings = int(math.log2(strides[-1]))
    if not widths or min(widths) < 1:
        raise InputError(f"needs widths above 0, not {tuple(widths)}", field="decoder.widths")
    return doublings
