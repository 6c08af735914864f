"""A frozen image encoder with its batch normalisation in its convolutions, for half precision."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from g2d_bench.devices import switched
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures

ROUNDING = 1e-4
"""Largest difference that rounding in single precision makes, as a share of the largest number."""


def folded(image: ImageEncoder, shown: Tensor) -> ImageEncoder:
    """Return a copy in which no batch normalisation stands behind a convolution, in eval mode.

    In eval mode ``(conv(x) - mean) / sqrt(var + eps) * weight + bias`` is a convolution again, in single
    precision the same but for rounding. It saves a pass over every map. What is not followed by a
    normalisation of its own stays as it is. That a module stands behind another does not say that it is
    computed next: where the copy does not say the same of ``shown``, the one that is returned folds nothing.

    Args:
        image: the encoder, in eval mode.
        shown: what both are shown, [B, C, S, S], normalised; not all of one grey.
    """
    found, changed = _copied(image), False
    for module in list(found.modules()):
        names = [name for name, _ in module.named_children()]
        for first, second in pairwise(names):
            conv, norm = module.get_submodule(first), module.get_submodule(second)
            if isinstance(conv, nn.Sequential) and len(conv):
                # A deep stem: what is normalised is what its last convolution gives.
                conv = conv[-1]
            # What is derived of either may compute something else, or more.
            if type(conv) is not nn.Conv2d or type(norm) not in (nn.BatchNorm2d, BatchNormAct2d):
                continue
            assert isinstance(norm, nn.BatchNorm2d)
            if norm.running_mean is not None and norm.running_var is not None:
                _fold(conv, norm, norm.running_mean, norm.running_var)
                rest = (
                    nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
                )
                setattr(module, second, rest)
                changed = True
    return found if not changed or _same(image, found, shown) else _copied(image)


def _copied(image: ImageEncoder) -> ImageEncoder:
    return copy.deepcopy(image).eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.inference_mode()
def _same(image: ImageEncoder, other: ImageEncoder, shown: Tensor) -> bool:
    """Say whether two encoders say the same but for rounding."""
    with switched(shown.device), torch.autocast(shown.device.type, enabled=False):
        wanted: ImageFeatures = image(shown)
        try:
            found: ImageFeatures = other(shown)
        except Exception:  # code of others may ask a normalisation for what is no longer there
            return False
    pairs = zip([*wanted.pyramid, wanted.pooled], [*found.pyramid, found.pooled], strict=True)
    return all(bool((one - two).abs().max() <= ROUNDING * one.abs().max()) for one, two in pairs)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    with torch.no_grad():
        scale = (variance.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        shift = -mean.double() if conv.bias is None else conv.bias.double() - mean
        shift = shift * scale
        if norm.bias is not None:
            shift = shift + norm.bias.double()
        conv.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).float(), False)
        conv.bias = nn.Parameter(shift.float(), False)
